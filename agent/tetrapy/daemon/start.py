"""What the agent needs before it can watch: export target, sensor, procfs, the machine's name."""

from __future__ import annotations

import os
from typing import Callable

from tetrapy.btf import unpack
from tetrapy.btf.source import BtfSource
from tetrapy.config.settings import Settings
from tetrapy.errors import KernelError, NotPermittedError
from tetrapy.events.json import Dump, JsonEncoder, dump_with_json
from tetrapy.events.text import to_text
from tetrapy.kernel import features
from tetrapy.kernel.native import load_orjson
from tetrapy.pipeline.exporter import Exporter
from tetrapy.process.procfs import INITIAL_PID_NAMESPACE, foreign_namespace
from tetrapy.sensors.base import BaseSensor, BufferSize
from tetrapy.sinks.stream import LineSink, open_file, standard_output

STANDARD_OUTPUT = "-"

_BUFFER_PER_CPU, _LEAST_BUFFER, _LARGEST_BUFFER = 1 << 20, 2 << 20, 16 << 20  # bytes

Log = Callable[..., None]


def node_name() -> str:
    """The machine's name in events."""
    environment = os.environb
    name = environment.get(b"HUBBLE_NODE_NAME") or environment.get(b"NODE_NAME")
    return to_text(name or os.uname().nodename.encode("utf-8", "surrogateescape"))


def open_exporter(settings: Settings, log: Log) -> Exporter:
    """The way of events to the file or stream that the settings name.

    Raises ExportError when it cannot be written.
    """
    name = settings.export_filename
    if name == STANDARD_OUTPUT:
        sink = standard_output()
    elif name:
        sink = open_file(name)
    else:
        sink = LineSink(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), os.devnull, owned=True)
    log("info", "Exporter configuration", enabled=bool(name), fileName=name)
    return Exporter(JsonEncoder(node_name(), json_dump()), sink, log)


def json_dump() -> Dump:
    """orjson's encoder, or the standard library's where there is no orjson for this Python."""
    orjson = load_orjson()
    return dump_with_json if orjson is None else orjson.dumps


def load_sensor(settings: Settings, source: BtfSource, log: Log, run_directory: str) -> BaseSensor:
    """The base sensor, loaded into the kernel with these types and not yet attached.

    Raises LayoutError or KernelError, which tell the obstacle.
    """
    use_ring = not settings.use_perf_ring_buffer and features.has_ring_buffer()
    with unpack.custom_path(source, run_directory) as path:
        try:
            sensor = BaseSensor(use_ring, buffer_size(settings, os.cpu_count() or 1), path)
        except KernelError as err:
            if path is None or isinstance(err, NotPermittedError):
                raise
            text = f"{err}; the kernel's types came from {source.origin}: do they fit it?"
            raise KernelError(text, err.errno, err.log) from err
    kind = "BPF ring buffer size (bytes)" if use_ring else "Perf buffer size (bytes)"
    log("info", kind, total=sensor.buffer_bytes)
    return sensor


def buffer_size(settings: Settings, cpus: int) -> BufferSize:
    """The buffer that the settings ask for; when they do not, one that suits the CPUs."""
    chosen = min(max(cpus * _BUFFER_PER_CPU, _LEAST_BUFFER), _LARGEST_BUFFER)
    return BufferSize.of(settings.rb_size_total or settings.rb_size * cpus or chosen, cpus)


def trusted_procfs(root: str, log: Log) -> str:
    """`root`, or an empty string when it shows the processes of another pid namespace."""
    inode = foreign_namespace(root)
    if not inode:
        return root
    log(
        "warn",
        "inode mismatch: procfs does not appear to be host procfs",
        path=os.path.join(root, "1/ns/pid"),
        inode=inode,
        **{"expected inode": INITIAL_PID_NAMESPACE},
    )
    return ""
