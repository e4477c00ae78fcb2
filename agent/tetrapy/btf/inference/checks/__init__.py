# SPDX-License-Identifier: Apache-2.0
"""The table of checks that a layout has to pass, all of them.

A new need of the BPF objects needs a check in one of the modules beside this one, which is about
the structure; a test fails until it has one, or stands in UNPROVEN.
"""

from __future__ import annotations

from typing import AbstractSet, Dict, FrozenSet, List, Tuple

from tetrapy.btf.inference.checks import (
    cgroups,
    credentials,
    execs,
    kernel_objects,
    namespaces,
    open_files,
    paths,
    processes,
    tasks,
)
from tetrapy.btf.inference.checks.check import Check
from tetrapy.btf.inference.reference_process import ReferenceProcess
from tetrapy.btf.inference.view import View
from tetrapy.named import NamedTuple

# In the order in which they are checked: what tells most layouts apart comes first.
TABLE: Tuple[Check, ...] = (
    *tasks.CHECKS,
    *processes.CHECKS,
    *paths.CHECKS,
    *cgroups.CHECKS,
    *credentials.CHECKS,
    *namespaces.CHECKS,
    *execs.CHECKS,
    *open_files.CHECKS,
    *kernel_objects.CHECKS,
)

# Short names of queries (view.key) for which there is no check, and why.
_NO_CHECK = "nothing that is known about a process of ours is in it; only policies read it"
_UNPROVEN = """
    filename.name, kiocb.ki_filp, iov_iter.__iov, iov_iter.count, iov_iter.iov_offset,
    iov_iter.iter_type, iov_iter.nr_segs, iov_iter.ubuf, iov_iter___v513.type, iov_iter___v63.iov,
    iter_type::ITER_IOVEC, iter_type::ITER_KVEC, iter_type::ITER_UBUF, load_info.mod,
    load_info.name, load_info.sig_ok, module.name, module.taints, sec_path.len, sec_path.olen,
    sk_buff.active_extensions, sk_buff.extensions, sk_buff.hash, sk_buff.head, sk_buff.len,
    sk_buff.mark, sk_buff.network_header, sk_buff.priority, skb_ext.offset,
    skb_ext_id::SKB_EXT_SEC_PATH
"""
UNPROVEN: Dict[str, str] = dict.fromkeys((name.strip() for name in _UNPROVEN.split(",")), _NO_CHECK)


class CheckOutcome(NamedTuple):
    """What the checks say about one layout.

    `failed` are names of checks that do not hold, `proven` short names of queries.  `doubtful` are
    names of checks that do not hold either, but prove optional queries only; `doubted` these
    queries.
    """

    failed: List[str]
    proven: FrozenSet[str]
    doubtful: List[str]
    doubted: FrozenSet[str]

    def and_then(self, later: CheckOutcome) -> CheckOutcome:
        """The outcome of both phases, `later` being the second."""
        doubted = self.doubted | later.doubted
        return CheckOutcome(
            self.failed + later.failed,
            (self.proven | later.proven) - doubted,
            self.doubtful + later.doubtful,
            doubted,
        )


def run_checks(
    view: View,
    reference: ReferenceProcess,
    ended: bool,
    first_only: bool = False,
    optional: AbstractSet[str] = frozenset(),
) -> CheckOutcome:
    """Run the checks of one phase that are about queries; `first_only` stops at the first that
    fails.

    `optional` are short names of queries without which the programs do.
    """
    failed: List[str] = []
    proven: List[str] = []
    doubtful: List[str] = []
    doubted: List[str] = []
    for found in TABLE:
        if found.ended != ended or not view.asks(found.proves):
            continue
        holds = found.holds(view, reference)
        if holds:
            proven += found.proves
        elif holds is not None and optional >= set(found.proves):
            doubtful.append(found.name)
            doubted += found.proves
        elif holds is not None:
            failed.append(found.name)
            if first_only:
                break
    return CheckOutcome(failed, frozenset(proven) - set(doubted), doubtful, frozenset(doubted))
