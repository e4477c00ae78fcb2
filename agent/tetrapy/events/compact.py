"""JSON without white space; only what has to be is escaped, as Go's encoder does.

`visible.json_bytes` makes bytes of it.
"""

from __future__ import annotations

from json import JSONEncoder

compact = JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
