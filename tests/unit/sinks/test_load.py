# SPDX-License-Identifier: Apache-2.0
"""A writer at full speed that rotates all the time, and readers beside it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.sink_tools import backups, everything

LINES = 60_000

WRITER = """
import sys, time
from pathlib import Path
sys.path[:0] = sys.argv[1:3]
from tests.support.sink_tools import Recorder, numbered, sink_at
log = Recorder()
sink = sink_at(Path(sys.argv[3]), log, max_size=100_000, max_backups=0, compress=%s)
n, batch = 0, 1
while n < %d:
    sink.write(numbered(n, n + batch, length=500), batch)
    n += batch
    batch = batch * 7 %% 513 + 1
    sink.tick(time.monotonic())
sink.rotation.wait()
sink.close(log)
assert log.lines == [], log.lines
assert sink.lost == 0
print(n, sink.lines, sink.rotations, sink.compressions)
"""


@pytest.mark.slow
@pytest.mark.parametrize("compress", [False, True])
def test_no_line_is_lost_or_torn(tmp_path: Path, compress: bool) -> None:
    """All lines are there in order; whoever reads a rotated file meanwhile finds it complete."""
    path = tmp_path / "x.log"
    code = WRITER % (compress, LINES)
    words = [sys.executable, "-c", code, str(ROOT), str(ROOT / "agent"), str(path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as writer:
        looks = 0
        while writer.poll() is None:
            for file in backups(path)[-20:]:
                if file.suffix == ".gz":
                    continue  # complete since it has its name; the end looks into all of them
                try:
                    data = file.read_bytes()
                except FileNotFoundError:
                    continue  # it is compressed by now
                assert data.endswith(b"\n")
                assert len(data) == 100_000
                looks += 1
        assert writer.stdout
        sent, lines, rotations, compressions = map(int, writer.stdout.read().split())
    assert writer.returncode == 0
    assert lines == sent
    assert rotations == (sent * 500 - 1) // 100_000
    assert compressions == (rotations if compress else 0)
    assert [int(line[5 : line.index(b"}")]) for line in everything(path)] == list(range(sent))
    assert looks or compress
