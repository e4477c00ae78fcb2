# SPDX-License-Identifier: Apache-2.0
"""The standard library's modules as C: compiled by the interpreter's own compiler."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from tools.errors import BuildError

# The modules of the standard library in Python: packages with all below them, or single ones.
# Each that anything in the zip imports, and what those import; a test imports everything there.
_LIBRARY = (
    "__future__ _collections_abc _compat_pickle _compression _py_abc _pydecimal _strptime"
    " _threading_local _weakrefset abc argparse ast base64 bisect bz2 calendar codecs"
    " collections contextlib contextvars copy copyreg csv ctypes.__init__ ctypes._endian"
    " dataclasses datetime decimal difflib dis email encodings.__init__ encodings.aliases"
    " encodings.ascii encodings.idna encodings.latin_1 encodings.utf_16_be encodings.utf_16_le"
    " encodings.utf_8 encodings.utf_8_sig enum fnmatch fractions functools genericpath getopt"
    " getpass gettext glob gzip hashlib heapq hmac http.__init__ http.client importlib inspect"
    " io ipaddress json.__init__ json.decoder json.encoder json.scanner keyword linecache locale"
    " logging.__init__ lzma mimetypes multiprocessing.__init__ multiprocessing.connection"
    " multiprocessing.context multiprocessing.popen_fork multiprocessing.process"
    " multiprocessing.reduction multiprocessing.resource_sharer multiprocessing.synchronize"
    " multiprocessing.util ntpath numbers opcode operator os pathlib pickle pkgutil platform"
    " posixpath pprint queue quopri random re reprlib selectors shlex shutil signal socket"
    " sre_compile sre_constants sre_parse ssl stat statistics string stringprep struct"
    " subprocess tarfile tempfile textwrap threading token tokenize traceback types typing"
    " urllib uuid warnings weakref zipfile zipimport"
).split()

# The modules that import all others, by the names that Python's C knows them under.
_FIRST = {
    "_frozen_importlib": "importlib._bootstrap",
    "_frozen_importlib_external": "importlib._bootstrap_external",
    "zipimport": "zipimport",
}


def modules(library: Path) -> dict[str, Path]:
    """Dotted name -> source of each module that is frozen. Raises BuildError for one not there."""
    found: dict[str, Path] = {}
    for entry in _LIBRARY:
        before = len(found)
        for path in _sources(library, entry):
            parts = path.relative_to(library).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
        if len(found) == before:
            raise BuildError(f"the standard library has no {entry}")
    return found


def _sources(library: Path, entry: str) -> Iterator[Path]:
    place = library / entry.replace(".", "/")
    if place.is_dir():
        yield from sorted(p for p in place.rglob("*.py") if "test" not in p.parts)
    elif place.with_suffix(".py").is_file():
        yield place.with_suffix(".py")


def write(tree: Path, compiler: Path, out: Path) -> None:
    """Write frozen.c and what it includes into `out`.

    `compiler` is Programs/_freeze_module, `tree` Python's sources. Raises BuildError.
    """
    table: dict[str, tuple[str, bool]] = {}
    for name, path in modules(tree / "Lib").items():
        header = f"frozen.{name}.h"
        command = [str(compiler), name, str(path), str(out / header)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise BuildError(f"{name} cannot be frozen: {done.stderr.strip()}")
        table[name] = (f"_Py_M__{name.replace('.', '_')}", path.name == "__init__.py")
    (out / "frozen.c").write_text(_source(table))


def _source(table: dict[str, tuple[str, bool]]) -> str:
    first = {name: table[module] for name, module in _FIRST.items()}
    rest = {n: row for n, row in table.items() if n not in _FIRST} | {"os.path": table["posixpath"]}
    lines = ['#include "Python.h"', '#include "pycore_import.h"']
    lines += [f'#include "frozen.{name}.h"' for name in table]
    for title, rows in (("bootstrap", first), ("stdlib", rest), ("test", {})):
        lines.append(f"static const struct _frozen {title}[] = {{")
        for name, (symbol, package) in sorted(rows.items()):
            lines.append(f'{{"{name}", {symbol}, (int)sizeof({symbol}), {int(package)}, NULL}},')
        lines.append("{0}};")
    aliases = {**{n: m for n, m in _FIRST.items() if n != m}, "os.path": "posixpath"}
    lines.append("static const struct _module_alias aliases[] = {")
    lines += [f'{{"{name}", "{module}"}},' for name, module in aliases.items()]
    lines.append("{0}};")
    lines += [
        "const struct _frozen *_PyImport_FrozenBootstrap = bootstrap;",
        "const struct _frozen *_PyImport_FrozenStdlib = stdlib;",
        "const struct _frozen *_PyImport_FrozenTest = test;",
        "const struct _module_alias *_PyImport_FrozenAliases = aliases;",
        "const struct _frozen *PyImport_FrozenModules = NULL;",
        "int _Py_Deepfreeze_Init(void) { return 0; }",
        "void _Py_Deepfreeze_Fini(void) {}",
    ]
    return "\n".join(lines) + "\n"
