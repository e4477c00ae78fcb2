# SPDX-License-Identifier: Apache-2.0
"""Entry of the .pyz; in syntax that any Python reads, so that an old one says what is wrong.

It makes the agent independent of what lies around it. Python starts without what the host adds to
it: variables, directories of users and of packages, .pth files. And all code comes from a copy of
the file as it was at the start, so that an upgrade below a running agent changes nothing for it.
"""

import sys

if sys.version_info < (3, 8):  # noqa: UP036 - older ones start this file too
    sys.exit("tetrapy needs Python 3.8 or newer; this is Python " + sys.version.split()[0])

import os

RUNNING = "/proc/self/exe"
ALONE = "-IS"  # isolated: no PYTHON* variables, no user's directory; and no `site` module


def start_alone():  # type: () -> None
    """Start Python anew, in this process, unless it was told to be alone: `python3 tetrapy.pyz`.

    What `site` ran before this cannot be taken back otherwise.
    """
    if sys.flags.isolated and sys.flags.no_site:
        return
    words = command_line()  # type: ignore[no-untyped-call]
    error = "it does not heed the option " + ALONE
    if words[1:2] not in ([ALONE], [ALONE.encode()]):
        for python in (sys.executable, RUNNING):
            try:
                os.execv(python, [words[0], ALONE] + words[1:])  # noqa: RUF005, S606 - any Python
            except (OSError, ValueError) as err:  # ValueError: Python does not know where it is
                error = str(err)
    sys.stderr.write("tetrapy cannot start Python without the host's packages: " + error + "\n")
    sys.exit(255)


def command_line():  # type: ignore[no-untyped-def] # any Python
    """All words, with the options that somebody gave Python: sys.argv lacks them."""
    words = getattr(sys, "orig_argv", None)  # since Python 3.10
    if words is not None:
        return words
    try:
        with open("/proc/self/cmdline", "rb") as file:
            return file.read().split(b"\0")[:-1]
    except OSError:
        return [sys.executable] + sys.argv  # noqa: RUF005 - any Python


start_alone()

import gc  # noqa: E402 - only when alone
import signal  # noqa: E402
import zipimport  # noqa: E402

# A start makes little garbage; the agent turns the search on when it listens.
gc.disable()

# Until the agent handles it, an interrupt just ends it: no traceback.
signal.signal(signal.SIGINT, signal.SIG_DFL)


class Importer(zipimport.zipimporter):
    """zipimport, which compiles a module twice: the first time to find out what its file is
    called.
    """

    def get_filename(self, fullname):  # type: (str) -> str
        """Where the module lies, known without compiling it."""
        path = self.archive + "/" + self.prefix + fullname.rpartition(".")[2]
        return path + ("/__init__.py" if self.is_package(fullname) else ".py")

    def get_resource_reader(self, fullname):  # type: ignore[no-untyped-def] # any Python
        """For importlib.resources; zipimport's own has zipfile read the directory once more."""
        if not self.is_package(fullname):
            return None
        from tetrapy.resources import Reader

        return Reader(self, self.prefix + fullname.rpartition(".")[2])


def unnamed_file(name):  # type: (str) -> int
    """The descriptor of a new file, in memory, or without a name where that is forbidden.

    It is none of the standard streams', which may be closed. Raises OSError.
    """
    fd = -1
    # Since Linux 6.3 a host may ask that it never be executed (MFD_NOEXEC_SEAL).
    for flags in (1 | 8, 1):
        try:
            fd = os.memfd_create(name, flags)
            break
        except (AttributeError, OSError):  # a Python for glibc before 2.27 lacks it
            pass
    else:
        import tempfile

        with tempfile.TemporaryFile() as unnamed:
            fd = os.dup(unnamed.fileno())
    lower = []
    while fd <= 2:
        lower.append(fd)
        fd = os.dup(fd)
    for one in lower:
        os.close(one)
    return fd


def keep(path):  # type: (str) -> str
    """Another path to what the file has now, whatever becomes of it."""
    if path == RUNNING:  # the executable: nobody can write to it, and it outlives its name
        return path
    source = os.open(path, os.O_RDONLY)
    try:
        fd = unnamed_file("tetrapy.pyz")
        while os.sendfile(fd, source, None, 1 << 24):
            pass
        os.close(source)
    except OSError:
        fd = source  # it may be replaced or removed, but not be overwritten
    copy = "/proc/self/fd/" + str(fd)
    return copy if os.path.exists(copy) else path  # there may be no /proc


_loader = globals().get("__loader__")
if isinstance(_loader, zipimport.zipimporter):
    _copy = keep(_loader.archive)
    # Its directory is known already. Reading it again would cost a start 3 % more.
    _directories = zipimport._zip_directory_cache  # type: ignore[attr-defined] # noqa: SLF001
    _directories[_copy] = _directories[_loader.archive]
    sys.path_hooks.insert(0, Importer)  # type: ignore[arg-type] # typeshed wants a function
    sys.path[0] = _copy
    sys.path_importer_cache.pop(_copy, None)
    from tetrapy.kernel import extensions

    extensions.install()

from tetrapy.cli.main import main  # noqa: E402 - through the importer

sys.exit(main())
