"""Entry of the .pyz; in syntax that any Python reads, so that an old one says what is wrong."""

import sys

if sys.version_info < (3, 8):  # noqa: UP036 - older ones start this file too
    sys.exit("tetrapy needs Python 3.8 or newer; this is Python " + sys.version.split()[0])

import gc
import signal
import zipimport

# A start makes little garbage; the agent turns the search on when it listens.
gc.disable()

# Until the agent handles it, an interrupt just ends it: no traceback.
signal.signal(signal.SIGINT, signal.SIG_DFL)


class Importer(zipimport.zipimporter):
    """zipimport, which since CPython 3.10 compiles a module twice: the first time to find out
    what its file is called.
    """

    def get_filename(self, fullname):  # type: (str) -> str
        """Where the module lies, known without compiling it."""
        path = self.archive + "/" + self.prefix + fullname.rpartition(".")[2]
        return path + ("/__init__.py" if self.is_package(fullname) else ".py")


class Packages:
    """The packages of others, which few starts need: a zip of their own in this one.

    Each file in the zip that Python runs costs every start some, also when it is never read.
    """

    NAME = "packages.zip"  # its directory lists what is in it

    def __init__(self, archive):  # type: (zipimport.zipimporter) -> None
        self._archive = archive

    def find_spec(self, name, path=None, target=None):  # type: ignore[no-untyped-def] # any Python
        """What Python asks for when nobody else has found a module."""
        if path is not None or name not in self._listed():  # type: ignore[no-untyped-call]
            return None
        sys.meta_path.remove(self)
        import os

        try:
            fd = os.memfd_create(self.NAME, os.MFD_CLOEXEC)
        except OSError:  # forbidden here: a file without a name serves as well
            import tempfile

            with tempfile.TemporaryFile() as unnamed:
                fd = os.dup(unnamed.fileno())
        with open(fd, "wb", closefd=False) as file:
            file.write(self._archive.get_data(self._archive.archive + "/" + self.NAME))
        # The descriptor stays open: modules are read from it when they are imported.
        sys.path.append("/proc/self/fd/" + str(fd))
        import importlib.util

        return importlib.util.find_spec(name)

    def _listed(self):  # type: ignore[no-untyped-def] # any Python
        listing = self._archive.archive + "/" + self.NAME + ".txt"
        return self._archive.get_data(listing).decode().split()


sys.path_hooks.insert(0, Importer)  # type: ignore[arg-type] # typeshed wants a function
sys.path_importer_cache.pop(sys.path[0], None)
_loader = globals().get("__loader__")
if isinstance(_loader, zipimport.zipimporter):
    sys.meta_path.append(Packages(_loader))

from tetrapy.cli.main import main  # noqa: E402 - through the importer

sys.exit(main())
