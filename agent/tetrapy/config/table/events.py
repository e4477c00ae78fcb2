# SPDX-License-Identifier: Apache-2.0
"""Settings of what events hold, and of the table of processes behind them."""

from __future__ import annotations

from typing import Tuple

from tetrapy.config.setting import (
    BOOL,
    CGROUP_RATE,
    DURATION,
    LIST,
    SECOND,
    STRING,
    UINT,
    Setting,
    Topic,
)

_NO_WAITING = "here: no event waits for its process to become known"

TOPICS: Tuple[Topic, ...] = (
    (
        "Events",
        (
            Setting("cluster-name", STRING, "", "cluster_name in every event; empty leaves it out"),
            Setting(
                "enable-process-cred",
                BOOL,
                False,
                "show capabilities and credentials of processes, and what is odd about their"
                " binaries",
                aliases=("enable-process-creds",),
            ),
            Setting(
                "enable-executed-file",
                BOOL,
                True,
                "show the file that was executed where it is not the host's file at `binary`",
                own=True,
            ),
            Setting("enable-process-ns", BOOL, False, "show the namespaces of processes"),
            Setting(
                "enable-ancestors",
                LIST,
                (),
                "kinds of events that show the ancestors of their process; nothing without base",
                choices=("base", "kprobe", "tracepoint", "loader", "uprobe", "lsm", "usdt"),
            ),
            Setting(
                "enable-process-ancestors",
                BOOL,
                True,
                "of Tetragon 1.1.0",
                no_effect="here, nor in Tetragon: --enable-ancestors base shows ancestors",
            ),
            Setting(
                "enable-process-environment-variables",
                BOOL,
                False,
                "show the environment of a program when it starts, which may hold secrets",
            ),
            Setting(
                "filter-environment-variables",
                LIST,
                (),
                "names of the variables that are shown; empty is all",
            ),
            Setting(
                "username-metadata",
                STRING,
                "disabled",
                "show user names: unix reads the host's /etc/passwd",
                choices=("disabled", "unix"),
            ),
            Setting(
                "cgroup-rate",
                CGROUP_RATE,
                None,
                "most events of a cgroup in an interval: 1000,1s; empty is no limit",
            ),
        ),
    ),
    (
        "Containers",
        (
            Setting(
                "enable-container-names",
                BOOL,
                True,
                "show name, image and pod of containers, from the files and sockets of runtimes",
                own=True,
            ),
            Setting(
                "enable-container-labels",
                BOOL,
                True,
                "show the labels of containers as well",
                own=True,
            ),
            Setting(
                "container-wait",
                DURATION,
                SECOND,
                "most time that events wait for what is known of their container",
                own=True,
            ),
            Setting(
                "container-directories",
                LIST,
                (
                    "/var/lib/docker",
                    "/run/containerd",
                    "/var/lib/containers/storage",
                    "/run/containers/storage",
                ),
                "directories in which runtimes keep their containers",
                own=True,
            ),
            Setting(
                "container-sockets",
                LIST,
                (
                    "/run/docker.sock",
                    "/run/containerd/containerd.sock",
                    "/run/crio/crio.sock",
                    "/run/podman/podman.sock",
                ),
                "sockets of runtimes, asked for what no directory has: docker.sock and podman.sock"
                " by HTTP, others by CRI",
                own=True,
            ),
        ),
    ),
    (
        "Table of processes",
        (
            Setting("process-cache-size", UINT, 65536, "most processes that are remembered"),
            Setting(
                "process-cache-max-bytes",
                UINT,
                24 << 20,
                "most bytes that remembered processes take; beyond, long texts are cut, then the"
                " oldest processes are forgotten",
                own=True,
            ),
            Setting(
                "process-cache-gc-interval",
                DURATION,
                30 * SECOND,
                "time between two looks for processes that may be forgotten",
                no_effect="here: a process is forgotten once nothing refers to it",
            ),
            Setting(
                "disable-process-cache",
                BOOL,
                False,
                "remember no processes",
                no_effect="here: events are made of the remembered processes",
            ),
            Setting(
                "event-cache-retries",
                UINT,
                15,
                "attempts to complete an event before it is written",
                no_effect=_NO_WAITING,
            ),
            Setting(
                "event-cache-retry-delay",
                UINT,
                2,
                "seconds between two such attempts",
                no_effect=_NO_WAITING,
            ),
        ),
    ),
)
