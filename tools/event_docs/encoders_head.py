# SPDX-License-Identifier: Apache-2.0
"""What agent/tetrapy/events/encoders.py begins with: a format, of its imports and of FORMATS."""

from __future__ import annotations

HEAD = '''\
# SPDX-License-Identifier: Apache-2.0
"""Messages as JSON, written out field by field: this is done for every event.

Written by `python3 -m tools.event_docs` from the schema of events (tetrapy.events.schema); do not
edit. A process is bytes, an event the whole line, a message inside of others text. Only texts are
looked at for what has to be escaped, and of those only what a process can choose.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Callable, Dict, Tuple

{imports}

Keep = Callable[[Any], bytes]  # the JSON of a process, which is made once for many lines
Lines = Dict[str, bytes]  # event -> format of its line for the operator %: its fields and the time

FORMATS: Lines = {{{formats}}}
"""Event -> format of its message."""

_BETWEEN = '","'


class _Few(Dict[Any, bytes]):
    """A field whose values are few: what of it is in a line."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def __missing__(self, value: Any) -> bytes:
        if len(self) >= 1024:
            self.clear()
        self[value] = shown = _field(self._name, value)
        return shown


class _Kept(Dict[Any, str]):
    """The JSON of messages that may come again soon, unless it is long."""

    def __init__(self, write: Callable[[Any], str]) -> None:
        super().__init__()
        self._write = write

    def __missing__(self, message: Any) -> str:
        text = self._write(message)
        if len(text) <= 512:
            if len(self) >= 256:
                self.clear()
            self[message] = text
        return text


class _Probes(Dict[Any, Tuple[bytes, ...]]):
    """By the probe of a hook: the fields that all its events have alike."""

    def __init__(self, fields: Callable[[Any], Tuple[bytes, ...]]) -> None:
        super().__init__()
        self._fields = fields

    def __missing__(self, probe: Any) -> Tuple[bytes, ...]:
        if len(self) >= 1024:
            self.clear()
        self[probe] = shown = self._fields(probe)
        return shown


def _field(name: str, value: Any) -> bytes:
    """A field, a text or several of them; nothing of an empty one."""
    if not value:
        return b""
    texts = quoted(value) if isinstance(value, str) else f'[{{",".join(map(quoted, value))}}]'
    return json_bytes(f',"{{name}}":{{texts}}')
'''

MAP = '''
def _map(entries: Dict[str, str]) -> str:
    """Texts by name."""
    pairs = [f"{quoted(name)}:{quoted(value)}" for name, value in entries.items()]
    return f"{{{','.join(pairs)}}}"
'''
