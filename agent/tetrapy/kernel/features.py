"""What the running kernel can do, found out by asking it."""

from __future__ import annotations

from tetrapy.kernel.libbpf import libbpf

_MAP_RINGBUF = 27  # enum bpf_map_type
_PROG_RAW_TRACEPOINT = 17  # enum bpf_prog_type
_FUNC_KTIME_GET_BOOT_NS = 125  # enum bpf_func_id


def has_ring_buffer() -> bool:
    """Whether the object's ring buffer flavour can run: its map type and its clock."""
    library = libbpf()
    return bool(
        library.libbpf_probe_bpf_map_type(_MAP_RINGBUF, None) == 1
        and library.libbpf_probe_bpf_helper(_PROG_RAW_TRACEPOINT, _FUNC_KTIME_GET_BOOT_NS, None)
        == 1
    )
