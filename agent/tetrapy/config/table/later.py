# SPDX-License-Identifier: Apache-2.0
"""Settings of what comes later: tracing policies, Kubernetes and container runtimes."""

from __future__ import annotations

from typing import Tuple

from tetrapy.config.setting import (
    BOOL,
    DIRECTORY,
    FILE,
    INT,
    LIST,
    SIZE,
    STRING,
    UINT,
    Setting,
    Topic,
)

_POLICIES = "yet: tracing policies come later"
_PARENTS = "here: binaries of parents are kept where a policy asks for them"
_KUBERNETES = "yet: Kubernetes support comes later"


def _policies(name: str, kind: str, default: object, text: str, alias: str = "") -> Setting:
    aliases = (alias,) if alias else ()
    return Setting(name, kind, default, text, aliases=aliases, no_effect=_POLICIES)


def _parents(name: str, kind: str, default: object, text: str) -> Setting:
    return Setting(name, kind, default, text, no_effect=_PARENTS)


def _kubernetes(name: str, kind: str, default: object, text: str) -> Setting:
    return Setting(name, kind, default, text, no_effect=_KUBERNETES)


TOPICS: Tuple[Topic, ...] = (
    (
        "Tracing policies, later",
        (
            _policies("kmods", LIST, (), "kernel modules whose symbols are loaded"),
            _policies(
                "retprobes-cache-size", UINT, 4096, "calls that are remembered until they return"
            ),
            _policies(
                "sleepable-preload-size", UINT, 32768, "data that sleepable programs read ahead"
            ),
            _parents("parents-map-enabled", BOOL, False, "keep binaries of parents, to be matched"),
            _parents("parents-map-entries", UINT, 0, "parents that are kept; 0 is 32768"),
            _parents("parents-map-size", SIZE, 0, "the same in bytes (K, M, G)"),
            _policies(
                "netns-dir",
                DIRECTORY,
                "/var/run/docker/netns/",
                "directory of Docker's network namespaces",
            ),
            _policies(
                "enable-policy-filter",
                BOOL,
                False,
                "permit policies of a namespace, and pod and container selectors",
            ),
            _policies(
                "enable-policy-filter-cgroup-map",
                BOOL,
                False,
                "remember the policies of each cgroup too",
            ),
            _policies("enable-policy-filter-debug", BOOL, False, "log more about it"),
        ),
    ),
    (
        "Kubernetes and container runtimes",
        (
            _kubernetes(
                "enable-k8s-api", BOOL, False, "ask the Kubernetes API which pod a process is in"
            ),
            _kubernetes("k8s-kubeconfig-path", FILE, "", "kubeconfig, outside of a cluster"),
            _kubernetes(
                "k8s-controlplane-retry",
                INT,
                1,
                "attempts to connect to the API; less than 0 is without end",
            ),
            _kubernetes("enable-pod-annotations", BOOL, False, "show the annotations of pods"),
            _kubernetes("enable-pod-info", BOOL, False, "write PodInfo resources"),
            _kubernetes("enable-tracing-policy-crd", BOOL, True, "load TracingPolicy resources"),
            _kubernetes("deleted-pod-cache-size", UINT, 1024, "deleted pods that are remembered"),
            _kubernetes("enable-cri", BOOL, False, "ask the container runtime for cgroups"),
            _kubernetes("cri-endpoint", STRING, "", "socket of the container runtime"),
            _kubernetes("enable-cgidmap", BOOL, False, "find pods by cgroup id"),
            _kubernetes("enable-cgidmap-debug", BOOL, False, "log more about it"),
            _kubernetes(
                "enable-cgtrackerid", BOOL, True, "know cgroups by the id of their tracker"
            ),
        ),
    ),
)
