# SPDX-License-Identifier: Apache-2.0
"""Each source file states its licence, and a file that does not is found."""

from __future__ import annotations

from pathlib import Path

from tools import spdx
from tools.fetch import ROOT


def test_every_file_states_its_licence() -> None:
    """Of this tree."""
    assert spdx.unstated(ROOT) == []
    assert len(list(spdx.sources(ROOT))) > 1000


def test_a_file_without_it_is_found(tmp_path: Path) -> None:
    """In Python, shell and C, behind a first line with `#!`, and with another licence."""
    for name in ("agent/x", "bpf", "bench", "btfs", "tests", "tools"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "build_zipapp.py").write_text(spdx.stated("#!/usr/bin/env python3\nx = 1\n"))
    (tmp_path / "agent/x/good.py").write_text(spdx.stated('"""x"""\n'))
    (tmp_path / "bpf/good.h").write_text("/* SPDX-License-Identifier: GPL-2.0-only */\nint x;\n")
    (tmp_path / "bench/good.c").write_text("// SPDX-License-Identifier: Apache-2.0\nint x;\n")
    (tmp_path / "tools/good").write_text(spdx.stated("#!/bin/sh\nexit 0\n"))
    (tmp_path / "tools/data").write_bytes(b"\0")
    assert spdx.unstated(tmp_path) == []
    bad = {
        "agent/x/empty.py": "",
        "tools/late.py": f"x = 1\n{spdx.SCRIPT}",
        "bpf/other.c": "// SPDX-License-Identifier: Apache-2.0\n",
        "bench/old.c": "// SPDX-License-Identifier: GPL-2.0\n",
        "tests/run.sh": "exit 0\n",
        "install.sh": "#!/bin/sh\nexit 0\n",
    }
    for name, text in bad.items():
        (tmp_path / name).write_text(text)
    assert {str(path.relative_to(tmp_path)) for path in spdx.unstated(tmp_path)} == set(bad)


def test_the_line_goes_behind_the_interpreter() -> None:
    """And nothing else changes."""
    assert spdx.stated("#!/bin/x\n1\n") == f"#!/bin/x\n{spdx.SCRIPT}1\n"
    assert spdx.stated("1\n") == f"{spdx.SCRIPT}1\n"
