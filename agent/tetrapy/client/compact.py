# SPDX-License-Identifier: Apache-2.0
"""Events as lines for people, byte for byte as Tetragon's client writes them (`-o compact`), but
that no text reaches a terminal which would not be seen there as what it is.

    <icon> <what happened> <where> <program> <details>

below it the stack of a call, and the file whose hash was taken.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Tuple

from tetrapy.client.colors import Colors
from tetrapy.client.functions import look_of
from tetrapy.errors import TetrapyError
from tetrapy.events.schema import EVENTS
from tetrapy.go_quoting import shown
from tetrapy.visible import printable

Event = Dict[str, Any]
Body = Dict[str, Any]  # of an event: its own message

_LABEL = 7  # columns of the label
_CAPABILITIES = 120  # column where a note on capabilities ends
_EPOCH = "1970-01-01T00:00:00Z"
_NO_NAME = "UNDEF"
# LSM hooks -> the member of their first argument that has the path whose hash is reported.
_HASHED = {
    **dict.fromkeys(
        (
            "bprm_check_security",
            "bprm_committed_creds",
            "bprm_committing_creds",
            "bprm_creds_for_exec",
            "bprm_creds_from_file",
        ),
        "linux_binprm_arg",
    ),
    **dict.fromkeys(
        ("file_ioctl", "file_lock", "file_open", "file_post_open", "file_receive", "mmap_file"),
        "file_arg",
    ),
}


class UnprintableError(TetrapyError):
    """An event that has no compact form; Tetragon's client has none either."""


class Compact:
    """Event -> its lines."""

    def __init__(
        self,
        colors: Colors,
        timestamps: bool = False,
        stack_traces: bool = True,
        ima_hash: bool = True,
    ) -> None:
        self._colors = colors
        self._timestamps = timestamps
        self._stack_traces = stack_traces
        self._ima_hash = ima_hash

    def lines(self, event: Event) -> str:
        """The text of one event, ended by a line feed. Raises UnprintableError."""
        name = next((one for one in EVENTS if one in event), "")
        text = self._line(name, event)
        if self._timestamps:
            text = f"{_nanoseconds(event.get('time', _EPOCH))} {text}"
        text += "\n"
        if self._stack_traces and name == "process_kprobe":
            text += self._stacks(event[name])
        if self._ima_hash and name == "process_lsm":
            text += self._hash(event[name])
        return text

    def _line(self, name: str, event: Event) -> str:
        if name == "test":
            return "TEST EVENT"
        if name == "process_throttle":
            return self._throttle(event[name])
        if name not in _FORMS:
            raise UnprintableError(f"unknown event type: {name.upper() or _NO_NAME}")
        body = event[name]
        process = body.get("process")
        if process is None:
            raise UnprintableError("process field is not set")
        icon, label, details = _FORMS[name](body, self._colors)
        what = self._colors.blue(f"{icon} {label.ljust(_LABEL)}")
        where = self._where(event.get("node_name", ""), process.get("pod"))
        program = self._colors.magenta(shown(process.get("binary", "")))
        line = " ".join([what, where, program, *details])
        return _with_note(line, self._colors.magenta(_note(process.get("cap", {}))))

    def _throttle(self, body: Body) -> str:
        state = {
            "THROTTLE_START": self._colors.red("START"),
            "THROTTLE_STOP": self._colors.green("STOP "),
        }.get(body.get("type", ""), "")
        return f"{self._colors.red('🧬 throttle')} {state} {shown(body.get('cgroup', ''))}"

    def _where(self, node: str, pod: Any) -> str:
        if pod is None:
            return self._colors.green(shown(node))
        container = pod.get("container", {}).get("name", "")
        # Outside of Kubernetes, where Tetragon tells no pod.
        if container and "name" not in pod and "namespace" not in pod:
            return self._colors.green(f"{shown(node)}/{shown(container)}")
        return self._colors.green(printable(f"{pod.get('namespace', '')}/{pod.get('name', '')}"))

    def _stacks(self, body: Body) -> str:
        parts = []
        if "kernel_stack_trace" in body:
            parts.append("Kernel:\n")
            for entry in body["kernel_stack_trace"]:
                symbol = self._colors.blue(f" {shown(entry.get('symbol', ''))}")
                offset = self._colors.yellow(f"0x{_hex(entry, 'offset')}\n")
                parts.append(f"{self._address(entry)}{symbol}+{offset}")
        if "user_stack_trace" in body:
            parts.append("User:\n")
            for entry in body["user_stack_trace"]:
                name = entry.get("symbol", "")
                symbol = self._colors.blue(f" {shown(name)}") if name else ""
                place = f" ({shown(entry.get('module', ''))}+0x{_hex(entry, 'offset')})\n"
                parts.append(f"{self._address(entry)}{symbol}{self._colors.yellow(place)}")
        return "".join(parts)

    def _address(self, entry: Body) -> str:
        return self._colors.green(f"   0x{_hex(entry, 'address')}:")

    def _hash(self, body: Body) -> str:
        member = _HASHED.get(body.get("function_name", ""), "")
        args = body.get("args", ())
        path = args[0].get(member, {}).get("path", "") if member and args else ""
        if not path or "ima_hash" not in body:
            return ""
        digest = printable(body["ima_hash"])
        return self._colors.green(f"   {shown(path)}") + self._colors.blue(f" {digest}\n")


Form = Tuple[str, str, List[str]]  # icon, label, details


def _exec(body: Body, colors: Colors) -> Form:
    return "🚀", "process", [colors.cyan(_arguments(body))]


def _exit(body: Body, colors: Colors) -> Form:
    state = printable(body.get("signal", "")) or str(body.get("status", 0))
    return "💥", "exit", [colors.cyan(_arguments(body)), colors.red(state)]


def _loader(body: Body, colors: Colors) -> Form:
    from base64 import b64decode

    build_id = b64decode(body.get("buildid", "")).hex()
    path = colors.yellow(shown(body.get("path", "")))
    return "🧬", "loader", [build_id, path] if build_id else [path]


def _kprobe(body: Body, colors: Colors) -> Form:
    args = body.get("args", [])
    look = look_of(body.get("function_name", ""))
    icon, label = look.heading(args)
    return icon, label, [detail(args, colors) for detail in look.details]


def _tracepoint(body: Body, colors: Colors) -> Form:
    subsystem, name = body.get("subsys", ""), body.get("event", "")
    if (subsystem, name) == ("raw_syscalls", "sys_enter"):
        from tetrapy.client.system_calls import entered

        return "☎ ", "syscall", [entered(body.get("args", []))]
    return "⁉\ufe0f", "tracepoint", [printable(subsystem), printable(name)]


def _uprobe(body: Body, colors: Colors) -> Form:
    return "🕵\ufe0f", "uprobe", [shown(body.get(name, "")) for name in ("path", "symbol")]


def _usdt(body: Body, colors: Colors) -> Form:
    return "🕵\ufe0f", "usdt", [shown(body.get(name, "")) for name in ("path", "provider", "name")]


def _lsm(body: Body, colors: Colors) -> Form:
    return "🔒", "LSM", [printable(body.get("function_name", ""))]


_FORMS: Dict[str, Callable[[Body, Colors], Form]] = {
    "process_exec": _exec,
    "process_exit": _exit,
    "process_loader": _loader,
    "process_kprobe": _kprobe,
    "process_tracepoint": _tracepoint,
    "process_uprobe": _uprobe,
    "process_usdt": _usdt,
    "process_lsm": _lsm,
}


def _arguments(body: Body) -> str:
    return shown(body["process"].get("arguments", ""))


def _hex(entry: Body, name: str) -> str:
    return f"{int(entry.get(name, 0)):x}"


def _note(capabilities: Body) -> str:
    # Tetragon's client takes places in the list for numbers of capabilities; as it shows the note
    # for whoever has 22 of them, that is nearly always who has CAP_SYS_ADMIN (21).
    return "🛑 CAP_SYS_ADMIN" if len(capabilities.get("effective", ())) > 21 else ""


def _with_note(line: str, note: str) -> str:
    """The note ends at its column, if the line, in bytes, leaves room for it."""
    if not note:
        return line
    return f"{line} {note.rjust(max(_CAPABILITIES - len(line.encode()), 0))}"


def _nanoseconds(time: str) -> str:
    """A time stamp with all nine digits."""
    whole, _, fraction = time.rstrip("Z").partition(".")
    return f"{whole}.{fraction.ljust(9, '0')}Z"
