# SPDX-License-Identifier: Apache-2.0
"""Write policy/types.py, policy/syscall_numbers.py, docs/tracingpolicy.schema.json and a table of
docs/policies.md.

python3 -m tools.policy_docs
"""

from __future__ import annotations

import sys

from tools.fetch import ROOT

# The agent's sources are not installed.
sys.path.insert(0, str(ROOT / "agent"))

from tools.policy_docs import pages

for path, content in pages.pages().items():
    (ROOT / path).write_text(content)
    print(path)
