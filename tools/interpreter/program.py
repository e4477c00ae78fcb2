# SPDX-License-Identifier: Apache-2.0
"""The interpreter: CPython and the agent's own C in one static program, without any library.

CPython is Debian 12's: its release, with the mends that Debian has made since. What else it takes
are the libraries behind its modules and those of the bundle (libbpf.so and so on), from sources.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tools import artifacts, fetch, libbpf_so, own_so, shared_library, unpack_so, zig
from tools.errors import BuildError
from tools.interpreter import freeze
from tools.interpreter.compiling import Group, compiled, linked
from tools.interpreter.parts import BOOTSTRAP, BZIP2, LIBC, LZMA, LZMA_FLAGS, MODULES

_HERE = Path(__file__).parent
_C_FILES = [_HERE / name for name in ("fficonfig.h", "linked.h", "main.c", "pyconfig.h", "start.h")]
_OWN = [*_C_FILES, *(_HERE / name for name in ("compiling.py", "parts.py", "program.py"))]
_OF_OBJECTS = [path for path in _OWN if path.name not in {"main.c", "start.h"}]
_ARCHIVES = ("python", "python-debian", "libffi", "xz", "bzip2")
_LIBRARIES = (libbpf_so.RECIPE, unpack_so.RECIPE, own_so.RECIPE)

# The first of Debian's patches that mends something; those before it are about Debian's packages.
_FIRST_MEND = "shutdown-deadlock.diff"

CORE_FLAGS = (
    '-DNDEBUG -fwrapv -DPy_BUILD_CORE -DABIFLAGS="" -DPLATFORM="linux" -DPLATLIBDIR="lib"'
    ' -DDATE="" -DTIME="" -Iown -Ipython -Ipython/Include -Ipython/Include/internal'
).split()


def archives() -> list[str]:
    """The names in tools/lock/sources.toml of all that is compiled into the interpreter."""
    return [*_ARCHIVES, *(name for recipe in _LIBRARIES for name in recipe.archives)]


def program(architecture: str) -> Path:
    """The path of the interpreter for an architecture, built if need be. Raises BuildError."""
    if architecture not in shared_library.ARCHITECTURES:
        raise BuildError(f"no executable for {architecture}")
    frozen, objects = frozen_library(), compiled_objects(architecture)
    key = artifacts.digest([frozen.name, objects.name, *(p.read_bytes() for p in _OWN)])

    def make(out: Path) -> None:
        with tempfile.TemporaryDirectory() as name:
            tree = source_tree(Path(name))
            shutil.copytree(frozen, tree / "frozen")
            group = Group(("own/main.c", "frozen/frozen.c"), ("-O2", "-Ifrozen", *CORE_FLAGS))
            _linked(objects, tree, group, architecture, out / "interpreter")

    return artifacts.built(f"interpreter-{architecture}", key, make) / "interpreter"


def _linked(objects: Path, tree: Path, rest: Group, architecture: str, program: Path) -> None:
    """Write the program of these objects and what the files of the group add."""
    scratch = tree.parent / "rest"
    scratch.mkdir()
    compiled(tree, [rest], architecture, scratch)
    # In an order that follows from no directory's name, as that decides where each has its place.
    parts = [*sorted(objects.glob("*.o")), *sorted(scratch.glob("*.o"))]
    linked(parts, architecture, program, tree.parent)


def compiled_objects(architecture: str) -> Path:
    """The directory of all objects but those of `main` and of the standard library in Python."""
    made_by = [path for recipe in _LIBRARIES for path in recipe.made_by]
    key = _key([architecture], archives(), [*_OF_OBJECTS, *made_by])

    def make(out: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            tree = source_tree(Path(scratch))
            compiled(tree, [*_libraries(tree), *_python(tree, architecture)], architecture, out)

    return artifacts.built(f"interpreter-objects-{architecture}", key, make)


def frozen_library() -> Path:
    """The directory of frozen.c, the same for all architectures.

    Python's own compiler for it runs here, linked of the objects for this machine.
    """
    machine = platform.machine()
    objects = compiled_objects(machine)

    def make(out: Path) -> None:
        with tempfile.TemporaryDirectory() as name:
            tree = source_tree(Path(name))
            files = ("python/Programs/_freeze_module.c", "python/Modules/getpath_noop.c")
            compiler = Path(name) / "freeze"
            _linked(objects, tree, Group(files, ("-O2", *CORE_FLAGS)), machine, compiler)
            freeze.write(tree / "python", compiler, out)

    key = artifacts.digest([objects.name, (_HERE / "freeze.py").read_bytes()])
    return artifacts.built("frozen", key, make)


def _key(ingredients: list[str | bytes], archives: list[str], files: list[Path]) -> str:
    pins = fetch.source_pins()
    ingredients = [*ingredients, zig.wheel().version, *(repr(pins[name]) for name in archives)]
    return artifacts.digest([*ingredients, *(path.read_bytes() for path in files)])


def source_tree(scratch: Path) -> Path:
    """A directory with our own files in `own`, and Python's, mended, in `python`."""
    tree = scratch / "tree"
    (tree / "own").mkdir(parents=True)
    for path in _C_FILES:
        shutil.copyfile(path, tree / "own" / path.name)
    shared_library.unpacked("python", tree)
    debian = shared_library.unpacked("python-debian", tree)
    series = (debian / "patches" / "series").read_text().split()
    for name in series[series.index(_FIRST_MEND) :]:
        command = ["patch", "--strip=1", "--silent", "--force", "--no-backup-if-mismatch"]
        command += ["--input", str(debian / "patches" / name)]
        done = subprocess.run(
            command, cwd=tree / "python", check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise BuildError(f"Debian's {name} does not apply: {done.stdout.strip()}")
    return tree


def _core(tree: Path) -> list[str]:
    """Python's files that every interpreter has, as its own makefile lists them."""
    makefile = (tree / "python/Makefile.pre.in").read_text()
    names = "Modules/gcmodule Modules/getbuildinfo Python/dynload_stub".split()
    for variable in ("POBJS", "PEGEN_OBJS", "PARSER_OBJS", "OBJECT_OBJS", "PYTHON_OBJS"):
        found = re.search(rf"^{variable}=((?:.*\\\n)*.*)$", makefile, re.MULTILINE)
        if found is None:
            raise BuildError(f"Python's makefile defines no {variable}")
        names += re.findall(r"(?<![$(\w/])([A-Z]\w*/[\w-]+)\.o", found.group(1))
    return [f"python/{name}.c" for name in names] + [
        f"python/Modules/{file}" for files in BOOTSTRAP.values() for file in files.split()
    ]


def _table(tree: Path, names: dict[str, str]) -> str:
    """Write Modules/config.c, the table of modules in C; returns its path."""
    text = (tree / "python/Modules/config.c.in").read_text()
    declared = "".join(f"extern PyObject* PyInit_{name}(void);\n" for name in sorted(names))
    rows = "".join(f'    {{"{name}", PyInit_{name}}},\n' for name in sorted(names))
    text = text.replace("/* -- ADDMODULE MARKER 1 -- */", declared)
    (tree / "own/config.c").write_text(text.replace("/* -- ADDMODULE MARKER 2 -- */", rows))
    return "own/config.c"


def _libraries(tree: Path) -> list[Group]:
    """The libraries of the bundle, and the table of the functions that ctypes finds."""
    groups = []
    for recipe in _LIBRARIES:
        for name in recipe.archives:
            shared_library.unpacked(name, tree)
        flags = tuple(flag for flag in recipe.flags if not flag.startswith("-Wl,"))
        groups.append(Group(tuple(recipe.prepare(tree)), flags))
    public = (tree / "libbpf/src/libbpf.map").read_text()
    names = {*re.findall(r"^\s+(\w+);", public, re.MULTILINE)}
    names |= {*unpack_so.EXPORTS, *own_so.EXPORTS, *LIBC}
    lines = ['#include "linked.h"']
    ordered = sorted(names)
    lines += [f'extern const char f{i}[] __asm__("{n}");' for i, n in enumerate(ordered)]
    lines += ["const struct linked linked[] = {"]
    lines += [f'{{"{name}", (void *)f{i}}},' for i, name in enumerate(ordered)]
    lines += ["};", "const size_t linked_count = sizeof(linked) / sizeof(*linked);"]
    (tree / "own/linked.c").write_text("\n".join(lines) + "\n")
    return [*groups, Group(("own/linked.c",), ("-Iown",))]


def _python(tree: Path, architecture: str) -> list[Group]:
    """CPython without its frozen modules, and the libraries that its modules in C need."""
    ffi = _ffi(tree, architecture)
    shared_library.unpacked("bzip2", tree)
    shared_library.unpacked("xz", tree)
    flags = ("-O3", *CORE_FLAGS, *ffi.flags, "-Ibzip2", "-Ixz/src/liblzma/api", "-Izlib")
    modules = [f"python/Modules/{file}" for files in MODULES.values() for file in files.split()]
    files = [*_core(tree), *modules, _table(tree, {**BOOTSTRAP, **MODULES})]
    directories = "liblzma/api liblzma/common liblzma/check liblzma/delta liblzma/lz liblzma/lzma"
    directories += " liblzma/rangecoder liblzma/simple common"
    lzma = ("-O2", *LZMA_FLAGS, *(f"-Ixz/src/{directory}" for directory in directories.split()))
    return [
        Group(tuple(files), flags),
        ffi,
        Group(tuple(f"bzip2/{name}.c" for name in BZIP2), ("-O2",)),
        Group(tuple(f"xz/src/{name}.c" for name in LZMA), lzma),
    ]


def _ffi(tree: Path, architecture: str) -> Group:
    shared_library.unpacked("libffi", tree)
    place, kind, files = {
        "x86_64": ("x86", "X86_64", ("ffi64.c", "unix64.S", "ffiw64.c", "win64.S")),
        "aarch64": ("aarch64", "AARCH64", ("ffi.c", "sysv.S")),
    }[architecture]
    header = (tree / "libffi/include/ffi.h.in").read_text()
    for name, value in {
        "VERSION": fetch.source_pins()["libffi"]["version"],
        "TARGET": kind,
        "HAVE_LONG_DOUBLE": "1",
        "FFI_EXEC_TRAMPOLINE_TABLE": "0",
    }.items():
        header = header.replace(f"@{name}@", value)
    (tree / "own/ffi.h").write_text(header)
    common = "closures prep_cif raw_api tramp types".split()
    sources = [f"libffi/src/{name}.c" for name in common]
    sources += [f"libffi/src/{place}/{name}" for name in files]
    flags = ("-O2", "-DHAVE_CONFIG_H", "-Iown", "-Ilibffi/include", f"-Ilibffi/src/{place}")
    return Group(tuple(sources), flags)
