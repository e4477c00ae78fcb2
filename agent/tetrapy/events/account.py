# SPDX-License-Identifier: Apache-2.0
"""Who answers for what a process does: where everybody has a share of something, whose it takes.

A user does, by the real uid: a program that is setuid, to root or to another, is its starter's. For
subordinate uids, which one user has thousands of, their block does, as in bpf/share.h. In a
container each uid answers apart from the host's, since root of a container may take any uid, and
all of them with the container. What the kernel starts (`core_pattern`, modprobe), which everybody
can bring about, is nobody's: all of those answer together. The login uid is not looked at: where
nobody logged in, a process may set it to anybody's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional, Union

from tetrapy.named import NamedTuple

if TYPE_CHECKING:
    from tetrapy.events.process import Process

_SUBORDINATE = 65536  # uids from here on are given out in blocks of so many


class Account(NamedTuple):
    """Who answers."""

    uid: int  # of subordinate ones the first of their block
    container: str = ""  # the outermost one that it is in; empty on the host

    @property
    def together(self) -> Union[int, str]:
        """A container with all that is in it, or a user of the host."""
        return self.container or self.uid

    def __str__(self) -> str:
        if self is HELPERS:
            return "helpers of the kernel"
        return f"{self.uid} in {self.container}" if self.container else str(self.uid)


ROOT = Account(0)
UNKNOWN = Account(0xFFFFFFFF & -_SUBORDINATE)
"""Of processes of which nothing is known, their user neither."""
HELPERS = Account(-1)
"""What the kernel starts by itself: its threads, and programs that descend from them."""


def account_of(uid: int, container: str, parent: Optional[Process]) -> Account:
    """Who answers for an image that `parent` started, or was before, with this real uid."""
    if uid >= _SUBORDINATE:
        uid &= -_SUBORDINATE
    if parent is None:
        return Account(uid, container)
    account = parent.account
    if not uid and (parent.uid or account is HELPERS):
        return account
    if account.uid == uid and account.container == container:
        return account  # most are their parent's: one object for all
    return Account(uid, container)
