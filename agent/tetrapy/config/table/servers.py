# SPDX-License-Identifier: Apache-2.0
"""Settings of what is served to others: metrics, health, the gRPC API."""

from __future__ import annotations

from typing import Tuple

from tetrapy.config.setting import (
    ADDRESS,
    BOOL,
    DIRECTORY,
    FILE,
    LIST,
    STRING,
    UINT,
    Setting,
    Topic,
)

_HEALTH = "here: the answer is of the moment"
_ENABLED = "here: these calls are always permitted"
_GO = "here: it serves tools that look into Go programs"

TOPICS: Tuple[Topic, ...] = (
    (
        "Metrics and health",
        (
            Setting(
                "metrics-server",
                ADDRESS,
                "",
                "address at which /metrics and /healthz are served over HTTP: :2112,"
                " localhost:2112; empty is nowhere",
                aliases=("metrics-address",),
            ),
            Setting(
                "enable-event-metrics",
                BOOL,
                True,
                "count events by kind and process too, not the agent's health and resources only",
            ),
            Setting(
                "metrics-label-filter",
                LIST,
                ("namespace", "workload", "pod", "binary"),
                "labels that metrics of events have; unknown ones are ignored",
            ),
            Setting(
                "enable-msg-handling-latency",
                BOOL,
                False,
                "measure how long the handling of each record takes",
            ),
            Setting(
                "healthz-address",
                ADDRESS,
                "",
                "address at which /healthz is served over HTTP, without metrics; empty is nowhere",
                own=True,
            ),
            Setting(
                "health-server-address",
                ADDRESS,
                "",
                "address of gRPC's health service: :6789; empty is nowhere",
            ),
            Setting(
                "health-server-interval",
                UINT,
                10,
                "seconds between two looks at the agent's health",
                no_effect=_HEALTH,
            ),
        ),
    ),
    (
        "gRPC API",
        (
            Setting(
                "server-address",
                STRING,
                "unix:///var/run/tetrapy/tetrapy.sock",
                "address of the gRPC API: unix:///path, or host:port beside the usual socket; empty"
                " is nowhere",
            ),
            Setting(
                "server-socket-group",
                STRING,
                "",
                "group, by name or number, that may connect to the unix socket beside root",
                own=True,
            ),
            Setting("server-tls-cert-file", FILE, "", "certificate in PEM; turns TLS on"),
            Setting("server-tls-key-file", FILE, "", "its key in PEM"),
            Setting(
                "server-tls-client-ca-files",
                LIST,
                (),
                "certificates in PEM of those who sign clients' certificates",
            ),
            Setting(
                "server-tls-require-client-cert",
                BOOL,
                False,
                "demand a certificate of every client",
            ),
            Setting(
                "event-queue-size",
                UINT,
                10000,
                "events that wait for one client before they are dropped",
            ),
            Setting(
                "tetragon-info-file",
                BOOL,
                False,
                "write the info file where Tetragon's client looks for it too:"
                " /var/run/tetragon/tetragon-info.json",
                own=True,
            ),
            Setting(
                "persist-grpc-policies",
                BOOL,
                False,
                "keep policies that clients added, and load them at the next start",
            ),
            Setting(
                "persist-grpc-policies-dir",
                DIRECTORY,
                "/var/run/tetrapy/grpc-policies",
                "directory in which they are kept; the default one is empty after a boot",
            ),
            Setting(
                "enable-deprecated-tracingpolicy-grpc",
                BOOL,
                False,
                "permit the calls EnableTracingPolicy and DisableTracingPolicy",
                no_effect=_ENABLED,
            ),
        ),
    ),
    (
        "Profiling",
        (
            Setting("gops-address", ADDRESS, "", "address of the gops agent", no_effect=_GO),
            Setting(
                "pprof-address",
                ADDRESS,
                "",
                "address of the profile server",
                aliases=("pprof-addr",),
                no_effect=_GO,
            ),
            Setting("cpuprofile", FILE, "", "file for a CPU profile", no_effect=_GO),
            Setting("memprofile", FILE, "", "file for a heap profile", no_effect=_GO),
        ),
    ),
)
