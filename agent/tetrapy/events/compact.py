"""JSON without white space; only what has to be is escaped, as Go's encoder does."""

from __future__ import annotations

from json import JSONEncoder

compact = JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
