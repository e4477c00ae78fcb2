# SPDX-License-Identifier: Apache-2.0
"""Finds BTF where the kernel has none: the steps of `discovery` but for the kernel's own."""

from __future__ import annotations

import contextlib
import os
from typing import Callable, Generator, Iterator, List, Optional, Sequence, Tuple

from tetrapy.abi.btf import Btf
from tetrapy.abi.core_queries import Answers
from tetrapy.btf.archive import Archive
from tetrapy.btf.btf_file import read_btf
from tetrapy.btf.btf_paths import candidates, inspect
from tetrapy.btf.host import Host, shuffles_structures
from tetrapy.btf.inference.candidates import without
from tetrapy.btf.inference.prober import InferenceResult, LayoutProber
from tetrapy.btf.search import EMBEDDED, INFERENCE_AUTO, INFERENCE_OFF, Search
from tetrapy.btf.source import (
    KIND_ARCHIVE,
    KIND_INFERRED,
    KIND_SCANNED,
    KIND_STORE,
    KIND_USER,
    BtfSource,
)
from tetrapy.btf.store import LocalStore
from tetrapy.btf.validation import BtfValidator, Validation
from tetrapy.errors import ArchiveError, BtfNotFoundError, LayoutError, TetrapyError

INFERENCE_NAME = "inference from the archive"
SCAN_NAME = "scan of kernel memory"


def elsewhere(
    search: Search, user_path: str, own: str, finding: str, tried: List[Tuple[str, str]]
) -> Generator[BtfSource, None, None]:
    """The sources but for the kernel's own, which was looked for at `own`.

    Raises BtfNotFoundError with all that was tried, which is also added to `tried`.
    """
    fallbacks = _Fallbacks(search, tried)
    validator = BtfValidator(
        search.read_objects(),
        search.open_prober,
        search.log,
        check=search.check,
        shuffled=shuffles_structures(search.places.root),
    )
    with contextlib.closing(validator):
        if user_path:
            yield fallbacks.user(validator, user_path)
            return
        if finding:
            fallbacks.missing("default kernel", own, finding)
        for attempt in (fallbacks.files, fallbacks.stored, fallbacks.archived):
            for found in attempt(validator):
                # What the probing acquired is not needed while this one is tried.
                validator.close()
                yield found
    raise BtfNotFoundError(not_found(search.host, tried))


def understood(path: str) -> str:
    """Why the BTF in a file cannot be read; empty if it can."""
    try:
        Btf(read_btf(path))
    except OSError as err:
        return (err.strerror or str(err)).lower()
    except TetrapyError as err:
        return str(err)
    return ""


class _Fallbacks:
    def __init__(self, search: Search, tried: List[Tuple[str, str]]) -> None:
        self._search = search
        self._log = search.log
        self.tried = tried

    def user(self, validator: BtfValidator, path: str) -> BtfSource:
        try:
            os.stat(path)
        except OSError as err:
            reason = (err.strerror or str(err)).lower()
            text = f"user specified BTF does not exist: stat {path}: {reason}"
            raise BtfNotFoundError(text) from err
        found = _from_file(validator, path)
        if found.refusal:
            raise BtfNotFoundError(f"user specified BTF {path}: {found.refusal}")
        self._log("info", "BTF file: user specified btf file found", **{"btf-file": path})
        try:
            return validator.source(KIND_USER, path, *found[1:])
        except LayoutError as err:
            raise BtfNotFoundError(f"user specified BTF {path}: {err}") from err

    def files(self, validator: BtfValidator) -> Iterator[BtfSource]:
        for kind, path in candidates(self._search.host.release, self._search.places):
            found = Validation(inspect(path))
            if not found.refusal:
                found = _from_file(validator, path)
            if found.refusal:
                self.missing("candidate", path, found.refusal)
                continue
            self._log("info", "BTF discovery: candidate btf file found", **{"btf-file": path})
            yield from self._made(validator, kind, path, *found[1:])

    def stored(self, validator: BtfValidator) -> Iterator[BtfSource]:
        host, store = self._search.host, LocalStore(self._search.places.store)
        path = store.directory
        try:
            path = store.path(host)
            whole = store.find(host)
            if whole is None:
                self.missing("local store", path, "does not exist")
                return
            found = _from_btf(validator, whole, path)
        except TetrapyError as err:
            found = Validation(str(err))
        if found.refusal:
            self.missing("local store", store.directory, found.refusal)
            return
        self._log("info", "BTF discovery: local store has this kernel", btf=path)
        yield from self._made(validator, KIND_STORE, path, *found[1:])

    def archived(self, validator: BtfValidator) -> Iterator[BtfSource]:
        """From the archive, exactly or inferred; then without it."""
        host, log, name = self._search.host, self._log, self._search.archive_name
        try:
            archive = Archive(self._search.read_archive())
        except (TetrapyError, OSError) as err:
            reason = str(err)
            if isinstance(err, OSError):
                reason = f"{err.filename}: {(err.strerror or reason).lower()}"
            again = "copy tetrapy.pyz again" if name == EMBEDDED else "pack it again"
            self._not_archived(f"{reason}; {again}")
            # Who damaged it may have damaged more: nothing is found out beside it.
            skipped = "was not tried, because the archive is damaged or not there"
            self.tried += [(INFERENCE_NAME, skipped), (SCAN_NAME, skipped)]
            return
        try:
            archive = archive.select(validator.queries.names)
        except ArchiveError as err:
            # Such as an operator's own after an upgrade; the scan does without.
            self._not_archived(f"{err}; pack it again with this tetrapy")
            yield from self._inferred(validator, None)
            return
        number, origin = archive_entry(archive, host)
        finding = origin
        if number is not None:
            found = validator.validate(archive.layouts[number], origin)
            if not found.refusal:
                log("info", f"BTF discovery: {name} has this kernel", btf=origin)
                yield from self._made(validator, KIND_ARCHIVE, origin, *found[1:])
                finding = ""
            else:
                finding = f"its {origin} {found.refusal}"
        if finding:
            self._not_archived(finding)
        yield from self._inferred(validator, archive)

    def _inferred(self, validator: BtfValidator, archive: Optional[Archive]) -> Iterator[BtfSource]:
        """By the archive's layouts, if there are any, then without them.

        What a layout gives that is right in part comes last: a scan may find the rest too.
        """
        host, mode = self._search.host, self._search.inference
        inferred = scanned = InferenceResult(None, f"is off (--btf-inference={mode})")
        if mode == INFERENCE_OFF:
            self.tried.append((INFERENCE_NAME, inferred.reason))
        elif archive is None:
            self.tried.append((INFERENCE_NAME, "is not possible with that archive"))
        else:
            known = archive
            inferred = self._ask(validator, INFERENCE_NAME, lambda asked: asked.infer(known, host))
            if inferred.answers is not None and not inferred.doubtful:
                yield from self._found(validator, KIND_INFERRED, inferred.answers, inferred)
        if mode == INFERENCE_AUTO:
            scanned = self._ask(validator, SCAN_NAME, lambda asked: asked.scan())
        else:
            self.tried.append((SCAN_NAME, scanned.reason))
        if scanned.answers is not None and (
            inferred.answers is None or not validator.off(scanned.answers)
        ):
            yield from self._found(validator, KIND_SCANNED, scanned.answers, scanned)
        if inferred.answers is not None and inferred.doubtful:
            yield from self._found(validator, KIND_INFERRED, inferred.answers, inferred)

    def _ask(
        self, validator: BtfValidator, name: str, ask: Callable[[LayoutProber], InferenceResult]
    ) -> InferenceResult:
        """What the prober of the running kernel answers."""
        try:
            prober = validator.prober()
            nowhere = InferenceResult(None, "is possible on the running kernel only")
            found = ask(prober) if prober else nowhere
        except TetrapyError as err:
            found = InferenceResult(None, str(err))
        if found.answers is None:
            self._log("warning", f"BTF discovery: {name} gave nothing", error=found.reason)
            self.tried.append((name, found.reason))
        return found

    def _found(
        self, validator: BtfValidator, kind: str, answers: Answers, found: InferenceResult
    ) -> Iterator[BtfSource]:
        """What is used of an answer, said loudly."""
        origin = f"inferred from {found.kernel or 'the memory of the running kernel'}"
        if self._search.proven_only:
            left_out = validator.optional(found.unproven)
            answers = without(validator.queries.names, answers, left_out)
            found = found._replace(unproven=(), off=(*found.off, *left_out))
        self._log(
            "warning",
            f"BTF discovery: {origin}",
            tested=found.tested,
            proven=found.proven,
            unproven="; ".join(found.unproven),
        )
        yield from self._made(validator, kind, origin, answers, found.off, found.doubtful)

    def _made(
        self,
        validator: BtfValidator,
        kind: str,
        origin: str,
        answers: Answers,
        off: Sequence[str],
        doubtful: Sequence[str],
    ) -> Iterator[BtfSource]:
        """The source of these answers, unless no BTF can have them."""
        try:
            made = validator.source(kind, origin, answers, off, doubtful)
        except LayoutError as err:
            self.missing("candidate", origin, str(err))
            return
        yield made

    def _not_archived(self, finding: str) -> None:
        name = self._search.archive_name
        text = f"BTF discovery: {name} does not have this kernel"
        self._log("warning", text, error=finding)
        self.tried.append((f"the {name}", finding))

    def missing(self, which: str, path: str, finding: str) -> None:
        self.tried.append((path, finding))
        fields = {"btf-file": path}
        if finding == "does not exist":
            self._log("info", f"BTF discovery: {which} btf file does not exist", **fields)
        else:
            fields["error"] = finding
            self._log("warning", f"BTF discovery: {which} btf file is not usable", **fields)


def _from_file(validator: BtfValidator, path: str) -> Validation:
    """What the BTF in a file gives."""
    try:
        return _from_btf(validator, read_btf(path), path)
    except OSError as err:
        return Validation((err.strerror or str(err)).lower())
    except TetrapyError as err:
        return Validation(str(err))


def _from_btf(validator: BtfValidator, whole: bytes, origin: str) -> Validation:
    return validator.validate(validator.queries.answers(Btf(whole)), origin)


def archive_entry(archive: Archive, host: Host) -> Tuple[Optional[int], str]:
    """The number of a host's layout and where it comes from; or None, and why there is none."""
    number = archive.find(str(host))
    if number is not None:
        return number, str(host)
    # A rebranded distribution keeps the release that its kernel's builder gave it.
    same = archive.find_release(host.arch, host.release)
    # Of several who build a kernel of that name, its own: VERSION_ID has more digits than a key, or
    # goes on while the kernel stays.
    same = [one for one in same if one[0].startswith(f"{host.id}/")] or same
    numbers = {found for _name, found in same}
    if len(numbers) == 1:
        return numbers.pop(), f"{same[0][0]} (by release alone, this host is {host})"
    if same:
        names = ", ".join(name for name, _number in same)
        return None, f"has no {host}, and those of its release differ: {names}"
    return None, f"has no {host} among {len(archive.kernels)} kernels"


def not_found(host: Host, tried: List[Tuple[str, str]]) -> str:
    """What was tried, in its order, and what helps."""
    listed = "; ".join(f"{place}: {finding}" for place, finding in tried)
    return (
        f'kernel version "{host.release}" BTF search failed, tried in order: {listed}.'
        f" {remedy(host)}"
    )


def remedy(host: Host) -> str:
    """The command that helps where no BTF is found."""
    return (
        f"Give tetrapy the types of this kernel once: `tetrapy btf add FILE`, where FILE is"
        f" /sys/kernel/btf/vmlinux of a machine that runs {host.release} too, this kernel's package"
        " or vmlinuz if it was built with BTF, or its debug package or vmlinux with debug"
        " information (needs pahole)"
    )
