# SPDX-License-Identifier: Apache-2.0
"""For which containers selectors of pods, containers and the host are."""

from __future__ import annotations

import pytest

from tests.support.policies import read, selector, spec
from tetrapy.events.container import Container, Image, Pod
from tetrapy.policy.workloads import Workload, of_policy, of_selector, repository

WEB = Pod(Container("docker://1", "web", Image("", "docker.io/library/nginx:1.25"), "", {"t": "a"}))
DB = Pod(Container("docker://2", "db", Image("", "pg"), "", {}))
IN_POD = Pod(Container("containerd://3", "web"), "shop", "pod-1", "u", {"t": "a"})
KNOWN = {"web": WEB, "db": DB, "pod": IN_POD, "unknown": None}

CASES = [
    ("containerSelector: {}", "web db pod unknown", False),
    ("podSelector: {}", "web db pod unknown", False),
    ("hostSelector: {}", "", True),
    ("hostSelector: {}\n  podSelector: {}", "web db pod unknown", True),
    ("containerSelector: {matchLabels: {name: web}}", "web pod", False),
    ("containerSelector: {matchLabels: {name: web, repo: pg}}", "", False),
    ("podSelector: {matchLabels: {t: a}}", "web pod", False),
    (
        (
            "podSelector: {matchLabels: {t: a}}\n"
            "  containerSelector: {matchExpressions: [{key: repo, operator: Exists}]}"
        ),
        "web",
        False,
    ),
    (
        (
            "containerSelector: {matchExpressions: [{key: repo, operator: In,"
            " values: [docker.io/library/nginx, pg]}]}"
        ),
        "web db",
        False,
    ),
    (
        'containerSelector: {matchExpressions: [{key: image, operator: In, values: ["pg"]}]}',
        "db",
        False,
    ),
    (
        "containerSelector: {matchExpressions: [{key: name, operator: NotIn, values: [web]}]}",
        "db unknown",
        False,
    ),
    (
        "podSelector: {matchExpressions: [{key: t, operator: DoesNotExist}]}",
        "db unknown",
        False,
    ),
    (
        (
            'podSelector: {matchExpressions: [{key: "k8s:io.kubernetes.pod.namespace",'
            " operator: In, values: [shop]}]}"
        ),
        "pod",
        False,
    ),
]


@pytest.mark.parametrize(("text", "wanted", "host"), CASES)
def test_what_is_selected(text: str, wanted: str, host: bool) -> None:
    """As Kubernetes does; a container outside of it is a pod with its own labels."""
    found = of_policy(read(spec(f"  {text}\n  kprobes: []\n")).policy)
    assert isinstance(found, Workload)
    assert found.host == host
    assert [name for name, pod in KNOWN.items() if found.selects(pod)] == wanted.split()


@pytest.mark.parametrize(
    ("text", "contained"),
    [
        ("podSelector: {}", True),
        ("containerSelector: {}", True),
        ("hostSelector: {}", False),
        ("containerSelector: {}\n  hostSelector: {}", False),
    ],
)
def test_containers_alone(text: str, contained: bool) -> None:
    """Where the host counts too, paths are the host's."""
    found = of_policy(read(spec(f"  {text}\n  kprobes: []\n")).policy)
    assert found is not None
    assert found.is_contained == contained


def test_everything() -> None:
    """A policy, or a selector, that says nothing of this is for all."""
    policy = read(selector("{matchWorkloads: {hostSelector: {}}}, {matchWorkloads: {}}, {}")).policy
    first, second, third = (one.match_workloads for one in policy.spec.kprobes[0].selectors)
    assert of_policy(policy) is None
    assert of_selector(policy, first) == Workload(None, None, host=True)
    assert of_selector(policy, second) is None
    assert of_selector(policy, third) is None


def test_a_namespaced_policy() -> None:
    """It is for pods of its namespace, and for containers that are in none."""
    text = spec("  containerSelector: {}\n  kprobes: []\n")
    text = text.replace("kind: TracingPolicy", "kind: TracingPolicyNamespaced")
    for namespace, wanted in (("shop", "web db pod unknown"), ("bank", "web db unknown")):
        policy = read(text.replace("{name: a}", f"{{name: a, namespace: {namespace}}}")).policy
        found = of_policy(policy)
        assert [name for name, pod in KNOWN.items() if found.selects(pod)] == wanted.split()


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        ("nginx", "nginx"),
        ("nginx:1.25", "nginx"),
        ("host:5000/a/b", "host:5000/a/b"),
        ("host:5000/a/b:1@sha256:ab", "host:5000/a/b"),
        ("sha256:ab", "sha256"),
    ],
)
def test_a_repository(image: str, wanted: str) -> None:
    """Without tag and digest; a port is part of it."""
    assert repository(image) == wanted
