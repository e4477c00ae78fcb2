# SPDX-License-Identifier: Apache-2.0
"""Write docs/configuration.md, the manual pages, completions/ and config/typed.py from the tables.

python3 -m tools.settings_docs
"""

from __future__ import annotations

import sys

from tools.fetch import ROOT

# The agent's sources are not installed.
sys.path.insert(0, str(ROOT / "agent"))

from tools.settings_docs.client_manual import PATH as CLIENT_MANUAL
from tools.settings_docs.client_manual import manual as client_manual
from tools.settings_docs.pages import pages, sources

for path, text in {**pages(), **sources(), CLIENT_MANUAL: client_manual()}.items():
    target = ROOT / path
    target.parent.mkdir(exist_ok=True)
    target.write_text(text)
    print(path)
