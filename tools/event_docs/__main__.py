# SPDX-License-Identifier: Apache-2.0
"""Write events/encoders.py, docs/events.md and docs/events.schema.json from the schema of events.

python3 -m tools.event_docs
"""

from __future__ import annotations

import sys

from tools.fetch import ROOT

# The agent's sources are not installed.
sys.path.insert(0, str(ROOT / "agent"))

from tools.event_docs.files import files

for path, text in files().items():
    (ROOT / path).write_text(text)
    print(path)
