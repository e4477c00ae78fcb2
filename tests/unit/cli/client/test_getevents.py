# SPDX-License-Identifier: Apache-2.0
"""`getevents` from standard input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow  # each test starts processes

ROOT = Path(__file__).resolve().parents[4]
TETRA = "import sys; sys.argv[0] = '/bin/tetra'; import tetrapy.cli.main as m; sys.exit(m.main())"


def process(**fields: Any) -> dict[str, Any]:
    """A process in an event."""
    return {"binary": "/bin/ls", "arguments": "-l", "pid": 7, **fields}


EXEC = {"process_exec": {"process": process(), "parent": process(binary="/bin/sh")}}
EXIT = {"process_exit": {"process": process(pod={"namespace": "default", "name": "a"})}}
LIMIT = {"rate_limit_info": {"number_of_dropped_process_events": "9"}}
LINES = [{**one, "node_name": "host", "time": "2026-01-02T03:04:05Z"} for one in (EXEC, EXIT)]


def run(*words: str, lines: Any = LINES, **variables: str) -> tuple[int, str, str]:
    """Exit code and both outputs of `tetra` with these lines, or bytes, on standard input."""
    given = lines if isinstance(lines, bytes) else "\n".join(map(json.dumps, lines)).encode()
    done = subprocess.run(
        [sys.executable, "-c", TETRA, *words],
        input=given,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "agent"), **variables},
        check=False,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_forms() -> None:
    """JSON unless compact lines are asked for; colours and times when they are."""
    code, out, err = run("getevents")
    assert (code, err) == (0, "")
    assert [json.loads(line) for line in out.splitlines()] == LINES
    compact = "🚀 process host /bin/ls -l\n💥 exit    default/a /bin/ls -l 0\n"
    assert run("getevents", "-o", "compact") == (0, compact, "")
    code, out, _ = run("getevents", "-ocompact", "--timestamps", "--color=always", "--host")
    assert out.startswith("2026-01-02T03:04:05.000000000Z \x1b[34m🚀 process\x1b[0m \x1b[32mhost")
    assert code == 0
    assert out.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        ("-e PROCESS_EXIT", "exit"),
        ("-n default", "exit"),
        ("--namespaces other --host", "exec"),
        ("--process ^/bin/l --pod a", "exit"),
        ("--processes /sh", ""),
        ("--cel-expression process_exec.process.pid==7u,process_exit.status==1u", "exec"),
        ("--policy-names p", ""),
    ],
)
def test_filters(words: str, kinds: str) -> None:
    """Each flag asks for fewer events."""
    code, out, err = run("getevents", *words.split())
    assert (code, err) == (0, "")
    found = [next(iter(json.loads(line))) for line in out.splitlines()]
    assert found == [f"process_{kind}" for kind in kinds.split()]


def test_fields() -> None:
    """Of the event's own message; what all events have stays."""
    _, out, _ = run("getevents", "-f", "process.pid,parent.binary", "-F", "process.pid")
    common = {"node_name": "host", "time": "2026-01-02T03:04:05Z"}
    assert [json.loads(line) for line in out.splitlines()] == [
        {"process_exec": {"process": {}, "parent": {"binary": "/bin/sh"}}, **common},
        {"process_exit": {"process": {}}, **common},
    ]


def test_lines_that_are_no_events() -> None:
    """They are passed over, and told of with --debug."""
    lines = b"x\n\n" + json.dumps(LINES[0]).encode()
    code, out, err = run("getevents", "-o", "compact", lines=lines)
    assert (code, out.count("\n"), err) == (0, 1, "")
    _, _, err = run("-d", "getevents", lines=lines)
    assert err.startswith("DEBUG: failed unmarshal: x: ")


def test_events_that_cannot_be_printed() -> None:
    """They are told of, the others come all the same, and the exit code says it."""
    code, out, err = run("getevents", "-o", "compact", lines=[LIMIT, *LINES])
    assert (code, out.count("\n")) == (1, 2)
    assert err.startswith("Error: failed to encode event {")
    assert err.endswith(": unknown event type: RATE_LIMIT_INFO\n")
    code, _, err = run("getevents", "-o", "compact", "-f", "parent")
    assert (code, err.count("process field is not set")) == (1, 2)


def test_a_terminal() -> None:
    """What a call wrote to it, as it was."""
    call = {
        "process_kprobe": {
            "process": process(),
            "function_name": "tty_write",
            "args": [{"file_arg": {"path": "/dev/pts/1"}}, {"bytes_arg": "aGkNCg=="}],
        }
    }
    assert run("getevents", "-t", "/dev/pts/1", lines=[call, EXEC]) == (0, "hi\r\n", "")
    assert run("getevents", "-t", "/dev/pts/2", lines=[call]) == (0, "", "")


def test_long_lines() -> None:
    """The longest is the largest message that is taken."""
    long = json.dumps({"node_name": "x" * 100_000}).encode()
    code, out, _ = run("getevents", lines=long)
    assert (code, len(out) > 100_000) == (0, True)
    code, out, err = run("getevents", "--max-recv-size", "1", lines=long)
    assert (code, out) == (1, "")
    assert "longer than --max-recv-size" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("getevents --process (", "binary_regex"),
        ("getevents -f nothing", "there is no field nothing"),
        ("getevents -o yaml", 'invalid argument "yaml" for "-o, --output" flag'),
        ("getevents --none", "unknown flag: --none"),
        ("nothing", 'unknown command "nothing" for "tetra"'),
    ],
)
def test_wrong_use(words: str, message: str) -> None:
    """Exit code 1, and a line that says what was wrong."""
    code, out, err = run(*words.split())
    assert (code, out) == (1, "")
    assert err.startswith("Error: ")
    assert message in err


def test_nobody_reads() -> None:
    """The end of a pipe's reader ends it quietly."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", TETRA, "getevents"],
        input="\n".join(map(json.dumps, LINES)).encode(),
        stdout=writer,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT / "agent")},
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("words", [[], ["--help"], ["help"], ["-d"], ["help", "getevents"]])
def test_help(words: list[str]) -> None:
    """The overview, or the command's own text, at most 80 columns wide but for words."""
    code, out, err = run(*words)
    assert (code, err) == (0, "")
    assert ("Commands:" in out) == (words[-1:] != ["getevents"])
    assert "tetra getevents" in out or "getevents" in out
    assert max(map(len, out.splitlines())) <= 82
