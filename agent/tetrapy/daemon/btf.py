# SPDX-License-Identifier: Apache-2.0
"""The search for the running kernel's BTF, with all that it is given by the other rooms."""

from __future__ import annotations

import contextlib
from typing import (
    TYPE_CHECKING,
    Callable,
    FrozenSet,
    Iterator,
    List,
    Optional,
    Set,
    Tuple,
    TypeVar,
)

from tetrapy.btf import discovery, host
from tetrapy.btf.btf_paths import Places
from tetrapy.btf.search import EMBEDDED, Search
from tetrapy.btf.source import BtfSource
from tetrapy.config.settings import Settings
from tetrapy.errors import BtfNotFoundError, NotLoadedError
from tetrapy.host_files import host_root
from tetrapy.kernel import bundle, features
from tetrapy.sensors.configuration import OBJECTS

if TYPE_CHECKING:
    from tetrapy.abi.core_queries import CoreQueries
    from tetrapy.btf.inference.prober import LayoutProber

# BTFHub's 4,306 kernels take less than 100 KiB; what is longer is found to be cut short.
_MAX_ARCHIVE = 16 << 20

Log = Callable[..., None]
Loaded = TypeVar("Loaded")


def search(settings: Settings, log: Log) -> Search:
    """What `discovery.sources` needs to know about this host and these settings."""
    path = settings.btf_archive
    return Search(
        host.current(host_root(settings.procfs)),
        lambda: _read(path) if path else bundle.read("btfs/archive.xz"),
        lambda: [bundle.read(name) for name in OBJECTS],
        log,
        open_prober=lambda queries, optional: open_prober(queries, optional, log),
        places=Places(bpf_lib=settings.bpf_lib),
        inference=settings.btf_inference,
        check=settings.btf_check,
        archive_name=f"archive {path}" if path else EMBEDDED,
    )


def require_programs() -> None:
    """Raise UnsupportedFeatureError where the kernel takes none of the programs, whatever the BTF:
    then it could not be compared with any either.
    """
    features.require((features.RAW_TRACEPOINTS,))


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(_MAX_ARCHIVE)


def loaded(
    settings: Settings, log: Log, load: Callable[[BtfSource], Loaded]
) -> Tuple[Loaded, BtfSource]:
    """What `load` makes of the first BTF that the kernel takes, and that BTF.

    Raises BtfNotFoundError with all that was tried, or UnsupportedFeatureError where no BTF can
    help; what `load` raises, unless it is NotLoadedError for BTF that nobody named.
    """
    wanted = search(settings, log)
    tried: List[Tuple[str, str]] = []
    with contextlib.closing(discovery.sources(wanted, settings.btf, tried)) as sources:
        while True:
            try:
                source = next(sources)
            except BtfNotFoundError:
                require_programs()
                raise
            try:
                return load(source), source
            except NotLoadedError as err:
                if settings.btf:
                    raise
                log("debug", "libbpf", log=err.log)
                discovery.refuse(wanted, source, str(err), tried)


@contextlib.contextmanager
def open_prober(
    queries: CoreQueries, optional: FrozenSet[str], log: Optional[Log] = None
) -> Iterator[LayoutProber]:
    """A prober of the running kernel, for a `with`; KernelError if its memory cannot be read.

    What this host forbids in the preparation is logged, since less can be proven then.
    """
    from tetrapy.btf.inference.prober import LayoutProber
    from tetrapy.kernel.kernel_memory import KernelMemory
    from tetrapy.kernel.reference_process import ReferenceProcess, prepared

    reported: Set[str] = set()
    # Only policies read structures of sockets.
    with_files = any(name.startswith("offset struct sock.") for name in queries.names)

    @contextlib.contextmanager
    def prepare(variant: int) -> Iterator[ReferenceProcess]:
        with prepared(memory, variant, with_files=with_files) as reference:
            for limit in reference.limits:
                if log and limit not in reported:
                    reported.add(limit)
                    log("warn", "Less can be proven of this kernel", because=limit)
            yield reference

    with contextlib.closing(KernelMemory()) as memory:
        yield LayoutProber(queries.names, optional, prepare)
