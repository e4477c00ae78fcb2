# SPDX-License-Identifier: Apache-2.0
"""Which links this kernel has for programs of policies; asked once, when a hook needs to know."""

from __future__ import annotations

from functools import cached_property

from tetrapy.kernel import features
from tetrapy.kernel.bpf_object import MULTI_KPROBE as FOR_KPROBES
from tetrapy.kernel.bpf_object import MULTI_UPROBE as FOR_UPROBES
from tetrapy.sensors.policy.hook import MULTI_KPROBE, UPROBE


class LinkKinds:
    """Asks the kernel."""

    def __init__(self) -> None:
        self.one_by_one = False
        """Each kprobe gets a link of its own, whatever the kernel has."""

    @cached_property
    def cookies(self) -> bool:
        """Whether one program can be attached many times and be identified by its links apart."""
        return features.ATTACH_COOKIE.is_there

    @cached_property
    def multi_uprobes(self) -> bool:
        """Whether uprobes get links that end at the same time."""
        from tetrapy.kernel import trials  # late: most hooks do not ask

        return self.cookies and trials.has_multi_uprobes()

    @cached_property
    def multi_kprobes(self) -> bool:
        """Whether one link may be of many kprobes."""
        from tetrapy.kernel import trials  # as above

        return not self.one_by_one and self.cookies and trials.has_multi_kprobes()

    def attach_type(self, kind: str) -> int:
        """Of enum bpf_attach_type, for all programs of a kind of hook; 0 where they say none."""
        if kind == MULTI_KPROBE:
            return FOR_KPROBES
        return FOR_UPROBES if kind == UPROBE and self.multi_uprobes else 0
