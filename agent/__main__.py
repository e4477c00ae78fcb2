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


sys.path_hooks.insert(0, Importer)  # type: ignore[arg-type] # typeshed wants a function
sys.path_importer_cache.pop(sys.path[0], None)

from tetrapy.cli.main import main  # noqa: E402 - through the importer

sys.exit(main())
