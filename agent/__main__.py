"""Entry of the .pyz."""

import sys

if sys.version_info < (3, 8):  # noqa: UP036 - older ones start this file too
    sys.exit("tetrapy needs Python 3.8 or newer; this is Python " + sys.version.split()[0])

import signal

# Until the agent handles it, an interrupt just ends it: no traceback.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from tetrapy.cli.main import main  # noqa: E402

sys.exit(main())
