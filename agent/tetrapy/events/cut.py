# SPDX-License-Identifier: Apache-2.0
"""What a process may take in lines that only repeat it, in bytes of JSON.

An exec line tells all that is known. An exit, a child's line and a descendant's show the process
again, and whoever starts many of those chooses how long its texts are; so texts are cut there, and
the flags say so: `truncArgs` for arguments, `errorEnvs` for the environment, `errorFilename` for
the binary, `errorPathResolutionCwd` for the working directory. The path of the file that was
executed is `partial` then.
"""

from __future__ import annotations

from typing import List, Tuple

from tetrapy.events import flags
from tetrapy.events.process import DetailedProcess, Process
from tetrapy.json_codec import quoted
from tetrapy.visible import json_bytes, quoted_as_ascii, shows_all

REPEATED = 4096  # bytes of JSON of each text; no path is longer unless it has control characters

_MAX_LENGTH = 12  # bytes of JSON of one character: two escapes
_SURE = REPEATED // _MAX_LENGTH  # characters that fit, whatever they are

_Variables = Tuple[Tuple[str, str], ...]


def json_size(text: str) -> int:
    """Bytes of the text in JSON, without its quotes."""
    return len(json_bytes(quoted(text))) - 2


def cut(text: str, most: int) -> str:
    """The longest beginning of the text that takes at most so many bytes of JSON."""
    if len(text) * _MAX_LENGTH <= most or (len(text) <= most and json_size(text) <= most):
        return text
    # Each step looks at the characters between what is known to fit and the middle of the rest, all
    # steps together at as many as there are. What is hidden has all before it be escaped, too.
    low, high = 0, min(len(text), most)
    hidden, plain, escaped = False, 0, 0
    while low < high:
        middle = (low + high + 1) // 2
        part = text[low:middle]
        document = quoted(part)
        is_hidden = hidden or not shows_all(document)
        plain_size = plain + len(document.encode("utf-8", "surrogatepass")) - 2
        escaped_size = escaped + len(quoted_as_ascii(part)) - 2
        if (escaped_size if is_hidden else plain_size) <= most:
            low, hidden, plain, escaped = middle, is_hidden, plain_size, escaped_size
        else:
            high = middle - 1
    return text[:low]


def cut_variables(variables: _Variables, most: int) -> _Variables:
    """The first variables, the last of them cut, in at most so many bytes of JSON names and values.

    A variable counts for one byte at least, so their number has a bound too.
    """
    kept: List[Tuple[str, str]] = []
    for key, value in variables:
        name = cut(key, most)
        most -= json_size(name) + 1
        text = cut(value, max(most, 0))
        most -= json_size(text)
        if most < 0:
            break
        kept.append((name, text))
        if len(name) < len(key) or len(text) < len(value):
            break
    return tuple(kept)


def repeated(process: Process) -> Process:
    """The process as later lines show it: itself, or a copy whose texts are cut."""
    if (
        len(process.arguments) <= _SURE
        and len(process.cwd) <= _SURE
        and len(process.binary) <= _SURE
        and not process.environment
    ):
        return process
    short = process.copy()
    return short if shorten(short, REPEATED) else process


def shorten(process: Process, most: int) -> int:
    """Cut each text to so many bytes of JSON; returns how many characters went."""
    gone = 0
    text = cut(process.arguments, most)
    if len(text) < len(process.arguments):
        gone += len(process.arguments) - len(text)
        process.arguments = text
        process.flags |= flags.TRUNC_ARGS
    text = cut(process.cwd, most)
    if len(text) < len(process.cwd):
        gone += len(process.cwd) - len(text)
        process.cwd = text
        process.flags |= flags.ERROR_PATH_COMPONENTS
    text = cut(process.binary, most)
    if len(text) < len(process.binary):
        gone += len(process.binary) - len(text)
        process.binary = text
        process.flags |= flags.ERROR_FILENAME
    file = process.executed
    if file is not None:
        text = cut(file.path, most)
        if len(text) < len(file.path):
            gone += len(file.path) - len(text)
            process.executed = file._replace(path=text, partial=True)
    if process.environment and isinstance(process, DetailedProcess):
        kept = cut_variables(process.environment, most)
        if kept != process.environment:
            gone += characters(process.environment) - characters(kept)
            process.environment = kept
            process.flags |= flags.ERROR_ENVS
    if gone:
        process.forget_json()
    return gone


def characters(variables: _Variables) -> int:
    """The characters of all names and values, and one more for each variable."""
    return sum(len(key) + len(value) + 1 for key, value in variables)
