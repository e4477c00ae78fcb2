"""The one table of settings; flags, variables and help are derived from it.

Names, types, defaults and meaning are Tetragon's, with tetrapy's own paths.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Tuple

from tetrapy.errors import SettingsError

STRING, BOOL, INT, SIZE, ADDRESS = "string", "bool", "int", "size", "address"


class Setting(NamedTuple):
    """One row: the flag is `--name`, the variable `TETRAPY_NAME`."""

    name: str
    # STRING, BOOL, INT, SIZE (bytes; K, M and G are powers of 1024), or ADDRESS (config.address)
    kind: str
    default: Any
    help: str
    short: str = ""
    choices: Tuple[str, ...] = ()

    @property
    def variable(self) -> str:
        """The environment variable."""
        return "TETRAPY_" + self.name.upper().replace("-", "_")


SETTINGS: List[Setting] = [
    Setting(
        "export-filename", STRING, "", "file that JSON events are appended to; - is standard output"
    ),
    Setting("btf", STRING, "", "BTF file to use in place of the kernel's own"),
    Setting(
        "bpf-lib",
        STRING,
        "/usr/local/lib/tetrapy/bpf/",
        "directory with BTF fallbacks: metadata/vmlinux-<release>, btf",
    ),
    Setting(
        "btf-inference",
        STRING,
        "auto",
        "where nothing has the kernel's BTF: try the archive's layouts on the kernel (archive),"
        " then search its memory too (auto), or refuse (off)",
        choices=("auto", "archive", "off"),
    ),
    Setting(
        "btf-archive", STRING, "", "archive of `tetrapy btf pack` to use, not the embedded one"
    ),
    Setting("btf-check", BOOL, True, "compare BTF that is not the kernel's own with the kernel"),
    Setting("procfs", STRING, "/proc/", "procfs that is read for existing processes"),
    Setting("rb-size", SIZE, 0, "ring buffer bytes per CPU (K, M, G); 0 chooses"),
    Setting("rb-size-total", SIZE, 0, "ring buffer bytes over all CPUs (K, M, G); 0 chooses"),
    Setting(
        "use-perf-ring-buffer",
        BOOL,
        False,
        "use perf buffers although the kernel has the BPF ring buffer",
    ),
    Setting(
        "log-level",
        STRING,
        "info",
        "least level that is logged",
        choices=("trace", "debug", "info", "warn", "warning", "error", "panic", "fatal"),
    ),
    Setting(
        "log-format",
        STRING,
        "text",
        "form of log lines",
        choices=("text", "text-ts", "json", "json-ts"),
    ),
    Setting("debug", BOOL, False, "log everything", short="d"),
    Setting(
        "metrics-server",
        ADDRESS,
        "",
        "address at which Prometheus reads /metrics: :2112, localhost:2112; empty is nowhere",
    ),
]

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}

_DIGITS = 18  # more are no size of anything
_LARGEST = 2 << 30  # bytes: the largest power of two that a map's 32-bit size can hold


def parse(setting: Setting, text: str, source: str) -> Any:
    """The value that `text` means; `source` names where it stands.

    Raises SettingsError, naming source, setting and what would be right.
    """
    if setting.kind == STRING:
        if setting.choices and text.lower() not in setting.choices:
            raise _wrong(setting, text, source, "one of " + ", ".join(setting.choices))
        return text.lower() if setting.choices else text
    if setting.kind == ADDRESS:
        if text:
            _check_address(setting, text, source)
        return text
    if setting.kind == BOOL:
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
        raise _wrong(setting, text, source, "true or false")
    unit = _UNITS.get(text[-1:], 1) if setting.kind == SIZE else 1
    number = text[:-1] if unit > 1 else text
    if not number.isascii() or not number.isdigit():
        expected = "a number, with K, M or G" if setting.kind == SIZE else "a number"
        raise _wrong(setting, text, source, expected)
    if len(number) > _DIGITS or int(number) * unit > _LARGEST:
        raise _wrong(setting, text, source, "at most 2G")
    return int(number) * unit


def _check_address(setting: Setting, text: str, source: str) -> None:
    from tetrapy.config.address import Address  # no part of a start that has none

    try:
        Address.parse(text)
    except ValueError:
        expected = "an address such as :2112 or localhost:2112"
        raise _wrong(setting, text, source, expected) from None


def _wrong(setting: Setting, text: str, source: str, expected: str) -> SettingsError:
    return SettingsError(f'{source}: {setting.name} is "{text}", not {expected}')


class Settings:
    """The values in force; an attribute for each row, hyphens turned into underscores."""

    def __init__(self, values: Dict[str, Any]) -> None:
        self._values = values

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[name.replace("_", "-")]
        except KeyError:
            raise AttributeError(name) from None

    def items(self) -> Dict[str, Any]:
        """Name -> value of every setting."""
        return dict(self._values)


def merge(given: Dict[str, Any]) -> Settings:
    """Defaults overlaid with what was given, checked against each other.

    Raises SettingsError for values that exclude each other.
    """
    values = {setting.name: setting.default for setting in SETTINGS}
    values.update(given)
    if values["rb-size"] and values["rb-size-total"]:
        raise SettingsError("Can't specify --rb-size and --rb-size-total together")
    return Settings(values)
