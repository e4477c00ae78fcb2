# SPDX-License-Identifier: Apache-2.0
"""The table of docs/policies.md that says what which kernel takes, of docs/policy-matrix.json.

That file is what guests were found to do: see tests/vm/policy_matrix.py.
"""

from __future__ import annotations

import json

from tools.fetch import ROOT

PATH = "docs/policies.md"
DATA = ROOT / "docs/policy-matrix.json"
BEGIN, END = "<!-- matrix: python3 -m tools.policy_docs -->\n", "<!-- end of matrix -->\n"


def page() -> str:
    """The page with the table as it is now."""
    text = (ROOT / PATH).read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + table(json.loads(DATA.read_text())) + END + after


def table(kernels: dict[str, dict[str, dict[str, dict[str, str]]]]) -> str:
    """A column for each kernel, a row for each case; reasons of refusals stand below."""
    head = ["", *kernels]
    lines = [head, ["---"] * len(head)]
    reasons: list[str] = []
    # Those that were found last have all rows; an older one may lack some, or one more.
    wanted: dict[str, dict[str, None]] = {}
    for found in sorted(kernels.values(), key=lambda found: -sum(map(len, found["rows"].values()))):
        for heading, rows in found["rows"].items():
            wanted.setdefault(heading, {}).update(dict.fromkeys(rows))
    for heading, names in wanted.items():
        lines.append([f"**{heading}**", *[""] * len(kernels)])
        for row in names:
            cells = [found["rows"].get(heading, {}).get(row) for found in kernels.values()]
            lines.append([row, *[_cell(why, reasons) for why in cells]])
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return text + "".join(f"\n{at}. {why}" for at, why in enumerate(reasons, 1)) + "\n"


def _cell(why: str | None, reasons: list[str]) -> str:
    if why is None:
        return "?"
    if not why:
        return "works"
    if why not in reasons:
        reasons.append(why)
    return f"no ({reasons.index(why) + 1})"
