# SPDX-License-Identifier: Apache-2.0
"""`probe`: what the running kernel can do for the agent, and which hooks lack what.

The keys of Tetragon's client come first, then those that only tetrapy tells.
"""

from __future__ import annotations

import gzip
import os
from typing import Any, Dict, List

from tetrapy.cli.btf.output import warn
from tetrapy.cli.client.arguments import Values
from tetrapy.cli.config import write
from tetrapy.errors import KernelError, TetrapyError
from tetrapy.json_codec import dumps
from tetrapy.kernel import features
from tetrapy.kernel.capabilities import NUMBERS, held
from tetrapy.kernel.features import Feature
from tetrapy.kernel.trials import Trials
from tetrapy.visible import printable

EXIT_OK = 0
_PMU = "/sys/bus/event_source/devices"
_TRACEPOINT_PROGRAMS = 5  # BPF_PROG_TYPE_TRACEPOINT
_OPTIONS = (
    "AUDIT AUDITSYSCALL BPF BPF_EVENTS BPF_JIT BPF_JIT_DEFAULT_ON BPF_KPROBE_OVERRIDE BPF_SYSCALL"
    " CGROUPS DEBUG_INFO_BTF DEBUG_INFO_BTF_MODULES FTRACE_SYSCALLS HAVE_BPF_JIT HAVE_EBPF_JIT"
    " SECURITY"
).split()

Report = Dict[str, Any]


def run(options: Values, _arguments: List[str]) -> int:
    """Print what was found; returns the exit code."""
    report = found()
    if options["output"] == "json":
        return write(dumps(report, indent=True).decode() + "\n")
    lines = [f"{key}: {_text(value)}" for key, value in report["features"].items()]
    lines += [f"{key}: {_text(value)}" for key, value in report["kernel"].items()]
    for hook, missing in report["missing"].items():
        lines.append(f"hook_{hook}: " + ("missing: " + "; ".join(missing) if missing else "true"))
    return write("".join(printable(line) + "\n" for line in lines))


def found() -> Report:
    """`features`: key -> whether; `kernel`: key -> value; `missing`: hook -> what it lacks."""
    if not held().effective >> NUMBERS["CAP_SYS_ADMIN"] & 1:
        warn("warning: for accurate results, run it as root: without CAP_SYS_ADMIN much is refused")
    trials = Trials()
    try:
        tried = trials.all()
        kernel = _kernel(trials)
    finally:
        trials.close()
    return {"features": tried, "kernel": kernel, "missing": _missing(tried, trials.refused, kernel)}


def _kernel(trials: Trials) -> Report:

    def security(file: str) -> str:
        try:
            return trials.security_file(file)
        except (KernelError, OSError):
            return ""

    lockdown = security("lockdown")
    return {
        "release": os.uname().release,
        "machine": os.uname().machine,
        "raw_tracepoints": features.RAW_TRACEPOINTS.is_there,
        "tracepoints": Feature("", "", _TRACEPOINT_PROGRAMS).is_there,
        "ring_buffer": features.RING_BUFFER.is_there,
        "boot_clock": features.BOOT_CLOCK.is_there,
        "attach_cookie": features.ATTACH_COOKIE.is_there,
        "kprobes": features.KPROBES.is_there and os.path.exists(f"{_PMU}/kprobe"),
        "uprobes": features.KPROBES.is_there and os.path.exists(f"{_PMU}/uprobe"),
        "kernel_btf": os.path.exists("/sys/kernel/btf/vmlinux"),
        "btf": _btf(),
        "lsm_list": security("lsm"),
        "lockdown": lockdown[lockdown.find("[") + 1 : lockdown.find("]")] or "none",
    }


def _btf() -> str:
    """Which BTF the agent would use."""
    from tetrapy.btf.discovery import find_btf
    from tetrapy.config.sources import combine
    from tetrapy.daemon import btf

    settings = combine({}, os.environ)
    try:
        source = find_btf(btf.search(settings, lambda *_words, **_fields: None), settings.btf)
    except TetrapyError:
        return ""
    return f"{source.kind}: {source.origin}"


def _missing(
    tried: Dict[str, bool], refused: Dict[str, str], kernel: Report
) -> Dict[str, List[str]]:
    """Kind of a hook or an action -> what it needs that is not there."""
    no_types = [] if kernel["kernel_btf"] else ["the kernel's own BTF (CONFIG_DEBUG_INFO_BTF)"]

    def needs(*rows: Any) -> List[str]:
        return [what for there, what in rows if not there]

    def trampolines(name: str) -> str:
        why = f" (a trial was refused: {refused[name]})" if name in refused else ""
        return f"programs at trampolines{why}"

    lsm = no_types + needs(
        ("bpf" in kernel["lsm_list"].split(","), "bpf among the security modules (lsm=...,bpf)"),
    )
    kprobes = (kernel["kprobes"], "kprobes (CONFIG_KPROBE_EVENTS)")
    uprobes = (kernel["uprobes"], "uprobes (CONFIG_UPROBE_EVENTS)")
    raw = (kernel["raw_tracepoints"], "programs at raw tracepoints (Linux 4.17)")
    btf = (kernel["btf"], "BTF of this kernel: tetrapy btf which")
    return {
        "exec": needs(raw, btf),
        "exit": needs(raw, btf),
        "tracepoint": needs((kernel["tracepoints"], "programs at tracepoints"), btf),
        "raw_tracepoint": needs(raw, btf),
        "kprobe": needs(kprobes, btf),
        "uprobe": needs(uprobes, btf),
        "usdt": needs(uprobes, (tried["uprobe_refctroff"], "counters of uprobes"), btf),
        "fentry": no_types or needs((tried["fentry"], trampolines("fentry"))),
        "lsm": lsm or needs((tried["lsm"], trampolines("lsm"))),
        "signal": needs((tried["signal"], "bpf_send_signal() (Linux 5.3)")),
        "override": needs(
            (
                tried["override_return"] or tried["fmodret"],
                "bpf_override_return() (CONFIG_BPF_KPROBE_OVERRIDE), or fmod_ret",
            )
        ),
    }


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def run_config(_options: Values, _arguments: List[str]) -> int:
    """`probe config`: the options that the kernel was built with, of those that matter."""
    text = _kernel_configuration()
    given = dict(
        line.split("=", 1)
        for line in text.splitlines()
        if line.startswith("CONFIG_") and "=" in line
    )
    names = [f"CONFIG_{name}" for name in _OPTIONS]
    return write("".join(f"{name}:{given.get(name, 'n')}\n" for name in names))


def _kernel_configuration() -> str:
    """Raises TetrapyError when the kernel does not tell."""
    path = f"/boot/config-{os.uname().release}"
    try:
        with gzip.open("/proc/config.gz", "rt", encoding="utf-8", errors="replace") as packed:
            return packed.read(1 << 24)
    except OSError:
        pass
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 24)
    except OSError as err:
        raise TetrapyError(
            f"neither /proc/config.gz nor {path} can be read: {err.strerror}"
        ) from None
