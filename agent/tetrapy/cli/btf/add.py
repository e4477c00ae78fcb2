# SPDX-License-Identifier: Apache-2.0
"""`tetrapy btf add`: an operator's own kernel into the local store."""

from __future__ import annotations

import argparse
import os
import tempfile
from typing import List, Tuple

from tetrapy.abi.btf import Btf
from tetrapy.abi.core_queries import Answers
from tetrapy.btf import requirements
from tetrapy.btf.btf_file import read_btf
from tetrapy.btf.harvest import Options, harvest, verify
from tetrapy.btf.harvest.result import DONE
from tetrapy.btf.host import Host, shuffles_structures
from tetrapy.btf.store import DIRECTORY, LocalStore, host_of
from tetrapy.btf.validation import SHUFFLED
from tetrapy.cli.btf.harvest import add_name_flags, unpackers
from tetrapy.cli.btf.kernel_flags import add_os_release_flag, named_host, this_host
from tetrapy.cli.btf.known_kernels import Knowledge
from tetrapy.cli.btf.output import counted, warn, wrapped
from tetrapy.errors import FormatError, KernelError, LayoutError
from tetrapy.visible import printable

DESCRIPTION = f"""\
Keeps the BTF of a kernel in the local store, {DIRECTORY}, where tetrapy looks before the
archive. FILE is a kernel image (vmlinux, vmlinuz), a .deb or .rpm of one or of its debug
information, raw BTF, or a symbol file of Volatility 3. It becomes the BTF of this host's
distribution and of the release that the image states, else of the running kernel; flags say
otherwise.

  tetrapy btf add /boot/vmlinuz-5.15.0-vendor1
  tetrapy btf add vmlinux.btf --release 5.15.0-vendor1
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Flags and arguments."""
    parser.add_argument("file", metavar="FILE")
    add_name_flags(parser)
    add_os_release_flag(parser)
    parser.add_argument("--pahole", default="pahole", metavar="PROGRAM", help="makes BTF of DWARF")
    parser.add_argument(
        "--no-check", action="store_true", help="do not compare it with the running kernel"
    )
    parser.add_argument(
        "--dir", metavar="DIR", default=DIRECTORY, help=f"the local store (default {DIRECTORY})"
    )


def run(options: argparse.Namespace) -> int:
    """Add; FormatError when the BTF cannot serve."""
    host = named_host(options)
    host = host._replace(id=options.id or host.id, version_id=options.version_id or host.version_id)
    host, btf, notes = _read(options, host)
    store = LocalStore(options.dir)
    path = store.path(host)
    known = Knowledge(store=options.dir)
    optional_accesses = requirements.optional_accesses(known.objects)
    try:
        answers = known.queries.answers(Btf(btf))
    except (FormatError, LayoutError) as err:
        raise type(err)(f"{printable(options.file)}: {err}") from err
    missing = requirements.missing(known.queries.names, answers, optional_accesses)
    if missing:
        raise FormatError(
            f"{printable(options.file)}: this BTF cannot serve, it lacks {'; '.join(missing)}"
        )
    for note in notes:
        warn(f"Note: {printable(options.file)}: {note}")
    if host == this_host() and not options.no_check:
        _compare(options.file, known, answers)
    store.add(host, btf)
    answered = sum(answer is not None for answer in answers)
    print(
        f"added {printable(path)}: {len(btf):,} bytes of BTF, answer {answered} of"
        f" {counted(len(answers), 'need')}"
        + (" (programs do without the others)" if answered < len(answers) else "")
    )
    print("\n".join(wrapped(_next_step(host))))
    return 0


def _compare(path: str, known: Knowledge, answers: Answers) -> None:
    """Refuse BTF that is not the running kernel's, as the agent would; FormatError."""
    from tetrapy.daemon.btf import open_prober

    optional = requirements.optional(
        known.queries.names, requirements.optional_accesses(known.objects)
    )
    try:
        with open_prober(known.queries, optional) as prober:
            found = prober.check(answers)
    except KernelError as err:
        warn(f"Note: it was not compared with the running kernel: {err}")
        return
    # The agent would use it without what is doubtful, but it is another kernel's all the same.
    failed = [*found.failed, *found.doubtful]
    if failed:
        raise FormatError(
            f"{printable(path)}: this BTF is not the running kernel's, which contradicts it in"
            f" {len(failed)} checks, as {failed[0]}; for another kernel give its --release"
            + (f"; {SHUFFLED}, here --no-check" if shuffles_structures() else "")
        )


def _read(options: argparse.Namespace, host: Host) -> Tuple[Host, bytes, Tuple[str, ...]]:
    """The kernel in the file, its full BTF, and what the operator should know of it."""
    wanted = Options(
        id=host.id,
        version_id=host.version_id,
        arch=options.arch and host.arch,
        release=options.release,
        jobs=1,
        pahole=options.pahole,
    )
    with open(options.file, "rb"):
        pass  # what is no file that can be read is reported by its error
    with tempfile.TemporaryDirectory(prefix="tetrapy-btf-") as scratch:
        result = harvest([options.file], scratch, wanted, unpackers(), lambda progress: None)
        done = result.of(DONE)
        if len(done) == 1:
            found = host_of(done[0].key)
            found = found._replace(id=host.id, version_id=host.version_id)
            return found, read_btf(os.path.join(scratch, f"{done[0].key}.btf")), done[0].notes
        if len(done) > 1:
            keys = f"{done[0].key}, {done[1].key}"
            raise FormatError(f"{printable(options.file)} holds {len(done)} kernels: {keys} ...")
        reasons: List[str] = [outcome.error for outcome in result.outcomes]
    try:
        # What holds BTF and nothing that tells the release is taken for the host's.
        btf = read_btf(options.file)
        checked = verify.check(btf)
    except FormatError as err:
        reason = "; ".join(reasons) or str(err)
        raise FormatError(f"{printable(options.file)}: {reason}") from err
    if options.arch and checked.arch not in {"", host.arch}:
        raise FormatError(f"{printable(options.file)}: its types are {checked.arch}'s")
    notes = ("it is a part of a BTF: another tetrapy may need more",) if checked.minimized else ()
    return host._replace(arch=checked.arch or host.arch), btf, notes


def _next_step(host: Host) -> str:
    here = this_host()
    if host == here:
        return (
            "Restart tetrapy to use it (`systemctl restart tetrapy`, if it runs as a service); BTF"
            " of the kernel's own goes first. `tetrapy btf which` shows what is used."
        )
    return (
        f"It is for {host}, while {here} runs here; tetrapy uses it when it starts on that kernel."
    )
