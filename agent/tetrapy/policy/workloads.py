# SPDX-License-Identifier: Apache-2.0
"""For which processes a policy, or one of its selectors, is: of containers, or of the host."""

from __future__ import annotations

from typing import Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from tetrapy.events.container import Pod
from tetrapy.named import NamedTuple
from tetrapy.policy import names
from tetrapy.policy.types import LabelRequirement, LabelSelector, MatchWorkloads, Policy, Selector

NAMESPACE_LABEL = "k8s:io.kubernetes.pod.namespace"
"""A label that each pod of Kubernetes has for selectors, as in Tetragon."""


class Workload(NamedTuple):
    """Conditions on containers, and whether processes outside of all containers count."""

    pod: Optional[LabelSelector]
    container: Optional[LabelSelector]
    host: bool
    namespace: str = ""  # of pods; empty: any

    @property
    def asks_for_names(self) -> bool:
        """Whether more than the host or any container matters: names, labels, a namespace."""
        selectors = [one for one in (self.pod, self.container) if one is not None]
        asked = any(one.match_labels or one.match_expressions for one in selectors)
        return bool(selectors) and (asked or bool(self.namespace))

    @property
    def is_contained(self) -> bool:
        """Whether it is for processes of containers alone."""
        return not self.host and (self.pod is not None or self.container is not None)

    def selects(self, pod: Optional[Pod]) -> bool:
        """Whether it is for a container; `pod` is None where nothing is known of that."""
        if self.pod is None and self.container is None:
            return False
        if self.namespace and pod is not None and pod.name and pod.namespace != self.namespace:
            return False
        return _holds(self.pod, _pod_labels(pod)) and _holds(self.container, _container_labels(pod))


def select(workloads: Iterable[Workload], pod: Optional[Pod], *, outside: bool) -> bool:
    """Whether all hold of a process: of one outside of all containers, or in this one."""
    return all(one.host if outside else one.selects(pod) for one in workloads)


def of_policy(policy: Policy) -> Optional[Workload]:
    """What all of a policy is for; None for everything."""
    spec = policy.spec
    return _workload(policy, spec.pod_selector, spec.container_selector, spec.host_selector)


def of_selectors(policy: Policy, selectors: Sequence[Selector]) -> List[Tuple[Workload, ...]]:
    """By selector what has to hold of the process; there is one where no selectors are."""
    common = of_policy(policy)
    own = [of_selector(policy, one.match_workloads) for one in selectors] or [None]
    return [tuple(filter(None, (common, one))) for one in own]


def of_selector(policy: Policy, match: Optional[MatchWorkloads]) -> Optional[Workload]:
    """What one of its selectors is for; None for everything."""
    if match is None:
        return None
    return _workload(policy, match.pod_selector, match.container_selector, match.host_selector)


def _workload(
    policy: Policy,
    pod: Optional[LabelSelector],
    container: Optional[LabelSelector],
    host: Optional[LabelSelector],
) -> Optional[Workload]:
    if pod is None and container is None and host is None:
        return None
    namespaced = policy.kind == names.POLICY_NAMESPACED
    return Workload(
        pod, container, host is not None, policy.metadata.namespace if namespaced else ""
    )


def repository(image: str) -> str:
    """The name of an image without tag and digest: `nginx` of `nginx:1.25`."""
    name = image.partition("@")[0]
    front, slash, last = name.rpartition("/")
    return front + slash + last.partition(":")[0]


def _pod_labels(pod: Optional[Pod]) -> Mapping[str, str]:
    """Those of the pod; outside of Kubernetes each container is a pod with its own labels."""
    if pod is None:
        return {}
    if not pod.name:
        return pod.container.labels
    return {**pod.pod_labels, NAMESPACE_LABEL: pod.namespace}


def _container_labels(pod: Optional[Pod]) -> Mapping[str, str]:
    if pod is None:
        return {}
    found: Dict[str, str] = {"name": pod.container.name}
    image = pod.container.image
    if image is not None and image.name:
        found.update(image=image.name, repo=repository(image.name))
    return {key: value for key, value in found.items() if value}


def _holds(selector: Optional[LabelSelector], labels: Mapping[str, str]) -> bool:
    if selector is None:
        return True
    return all(labels.get(key) == value for key, value in selector.match_labels.items()) and all(
        _fulfils(one, labels) for one in selector.match_expressions
    )


def _fulfils(requirement: LabelRequirement, labels: Mapping[str, str]) -> bool:
    """A label that is not there fulfils NotIn and DoesNotExist, as in Kubernetes."""
    value = labels.get(requirement.key)
    if requirement.operator == "Exists":
        return value is not None
    if requirement.operator == "DoesNotExist":
        return value is None
    is_in = value is not None and value in requirement.values
    return is_in == (requirement.operator == "In")
