# SPDX-License-Identifier: Apache-2.0
"""What nobody caught: it is reported in the log with its place, and ends the agent.

Without this a thread that failed would be missing from then on, and what Python says about it, or
about an object that could not be removed, would go to standard error, where nobody looks.
"""

from __future__ import annotations

import errno
import sys
import threading
from types import TracebackType
from typing import Any, Callable, Dict, Optional

EXIT_UNCAUGHT = 70  # sysexits(3): an internal software error

_FRAMES = 12  # innermost calls that are reported
_TEXT = 1000  # characters of an error's own words
_PACKAGE = "/tetrapy/"
_USED_UP = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_NO_MEMORY = "failed to map segment"  # dlopen(3) of glibc says so and has no error number


class Uncaught:
    """Logs errors that nobody expected; `seen` says whether there was one.

    Nothing is imported and no file is opened for it: that may be what just failed.
    """

    def __init__(self, log: Callable[..., None]) -> None:
        self._log = log
        self.seen = False

    def watch(self) -> None:
        """Be called from now on for errors of threads, and for those that nothing can raise."""
        threading.excepthook = self._in_thread
        sys.unraisablehook = self._unraisable

    def report(self, err: Optional[BaseException], **where: Any) -> None:
        """Log the error as the last one; `where` are keys of the line."""
        self.seen = True
        hint = "this is a defect of tetrapy: please report this line"
        if _is_of_want(err):
            hint = "raise the limit of memory or of open files (ulimit -n)"
        self._log("fatal", "Unexpected error, stopping", **described(err), **where, hint=hint)

    def _in_thread(self, args: Any) -> None:
        if args.exc_type is not SystemExit:
            self.report(args.exc_value, thread=args.thread.name if args.thread else "unknown")

    def _unraisable(self, args: Any) -> None:
        self.report(args.exc_value, within=_words(repr, args.object))


def _is_of_want(err: Optional[BaseException]) -> bool:
    """Whether memory or open files are used up."""
    if isinstance(err, ImportError):
        return _NO_MEMORY in _words(str, err)
    return isinstance(err, MemoryError) or getattr(err, "errno", None) in _USED_UP


def described(err: Optional[BaseException]) -> Dict[str, str]:
    """What an error is, and where: the innermost call first."""
    if err is None:
        return {"error": "unknown", "at": "unknown"}
    name = type(err).__name__
    return {"error": f"{name}: {_words(str, err)}", "at": _place(err.__traceback__)}


def defect(err: BaseException) -> str:
    """A sentence for what goes on without what failed."""
    what = described(err)
    return f"unexpected, a defect of tetrapy: {what['error']}, at {what['at']}"


def _words(of: Callable[[Any], str], value: Any) -> str:
    try:
        return of(value)[:_TEXT]
    except Exception:  # noqa: BLE001 - any class may do anything here
        return "(it has no words)"


def _place(traceback: Optional[TracebackType]) -> str:
    calls = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        # As it is in the sources, wherever the agent lies.
        file = code.co_filename[code.co_filename.rfind(_PACKAGE) + 1 :]
        calls.append(f"{file}:{traceback.tb_lineno} {code.co_name}")
        traceback = traceback.tb_next
    return " < ".join(calls[: -_FRAMES - 1 : -1])
