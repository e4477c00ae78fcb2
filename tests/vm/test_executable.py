# SPDX-License-Identifier: Apache-2.0
"""The executable in guests of both architectures, where there is no Python: its commands and its
events are those of the .pyz, which runs beside it under the guest's own Python.
"""

from __future__ import annotations

import json
import platform
import re
import shutil
from typing import Any

import pytest

from tests.vm.guests import LEFT, PYZ, compile_victim
from tools.contents import ARCHITECTURES, EXECUTABLES
from tools.guest import kernels, qemu

HERE = {machine: arch for arch, machine in ARCHITECTURES.items()}[platform.machine()]

# A system call at its beginning and its end.
POLICY = {
    "apiVersion": "cilium.io/v1alpha1",
    "kind": "TracingPolicy",
    "metadata": {"name": "wanted"},
    "spec": {
        "kprobes": [
            {
                "call": "sys_openat",
                "syscall": True,
                "return": True,
                "args": [{"index": 0, "type": "int"}, {"index": 1, "type": "string"}],
                "returnArg": {"index": 0, "type": "int"},
                "selectors": [
                    {"matchArgs": [{"index": 1, "operator": "Postfix", "values": ["wanted"]}]}
                ],
            }
        ]
    },
}

TIMES = {"time", "start_time", "exec_id", "parent_exec_id"}

# Commands that print the same, whoever runs them. In the last one the kernel has no BTF: its types
# are found in the archive, and compared with its memory by the prepared process.
COMMANDS = {
    "version": "--version",
    "check": "policy check /test/wanted.yaml",
    "types": "btf which",
    "hidden": "btf which",
}

SCRIPT = f"""
flags='--sensor ebpf --enable-process-cred --enable-process-ns --tracing-policy /test/wanted.yaml'
cat >/test/alone <<'ALONE'
# In a mount namespace of its own, in which there are no programs but those of busybox.
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /usr/lib/python3.11
mount -o bind /dev/null /usr/bin/python3.11
python3 -c 0 2>/dev/null && exit 99
[ "$1" = hidden ] && mount -t tmpfs tmpfs /sys/kernel/btf
shift
exec /test/tetrapy "$@"
ALONE
cat >/test/beside <<'BESIDE'
mount -t tmpfs tmpfs /run
[ "$1" = hidden ] && mount -t tmpfs tmpfs /sys/kernel/btf
shift
exec python3 /test/tetrapy.pyz "$@"
BESIDE
executable='unshare -m sh /test/alone'
pyz='unshare -m sh /test/beside'
there() {{ # waits until a file has a line, or one of the agents has ended
    until grep -q "$1" "$2"; do
        sleep 0.2
        kill -0 $one && kill -0 $other || break
    done
}}
$executable events $flags --export-filename /result/executable >/result/executable-log 2>&1 &
one=$!
$pyz events $flags --export-filename /result/pyz >/result/pyz-log 2>&1 &
other=$!
there 'Listening for events' /result/executable-log
there 'Listening for events' /result/pyz-log
mkdir -p /tmp/here && cd /tmp/here && echo >wanted
/test/victim exit 7 'second word' "$(printf 'not \\377 UTF-8')"
sh -c 'exec /test/victim signal 11'
/test/victim exec /test/victim exit 3
long=$(printf '%20000s' long)
/test/victim exit 0 "$long"
cat wanted
/test/victim exit 0 last
cd /
there '"process_exit".* last"' /result/executable
there '"process_exit".* last"' /result/pyz
kill -TERM $one; wait $one; echo $? >/result/executable-code
kill -TERM $other; wait $other; echo $? >/result/pyz-code
while read -r name words; do
    cd /result
    $executable "$name" $words </dev/null >executable-$name 2>executable-$name-errors
    echo $? >>executable-$name
    $pyz "$name" $words </dev/null >pyz-$name 2>pyz-$name-errors
    echo $? >>pyz-$name
done <<'COMMANDS'
{chr(10).join(f"{name} {words}" for name, words in COMMANDS.items())}
COMMANDS
"""


class Answer:
    """What a guest says of `executable` and `pyz`."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def log(self, who: str) -> str:
        """The agent's."""
        return self.files[f"{who}-log"].decode(errors="replace")

    def events(self, who: str) -> list[dict[str, Any]]:
        """Those of the processes that were executed while both listened, in order."""
        found = [json.loads(line) for line in self.files.get(who, b"").splitlines()]
        return [one for one in found if _body(one)["process"].get("cwd") == "/tmp/here"]


def _body(event: dict[str, Any]) -> dict[str, Any]:
    """What an event says, whatever its kind."""
    (body,) = [value for kind, value in event.items() if kind.startswith("process_")]
    return dict(body)


def _parameter(name: str) -> Any:
    """`make test` has only the executable of its own machine built, `make vm` both."""
    kernel = kernels.get(name)
    marks = () if kernel.arch == HERE else pytest.mark.matrix
    return pytest.param(kernel, id=name, marks=marks)


@pytest.fixture(scope="module", params=[_parameter("6.1"), _parameter("6.12-arm64")])
def answer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Answer:
    """Of a guest in which both have run."""
    kernel = request.param
    executable = PYZ.with_name(EXECUTABLES[kernel.arch])
    if not (executable.is_file() and executable.read_bytes().endswith(PYZ.read_bytes())):
        pytest.skip(f"needs dist/{executable.name} of dist/tetrapy.pyz: make executable")
    files: dict[str, qemu.Content] = {
        "/test/tetrapy": executable,
        "/test/tetrapy.pyz": PYZ,
        "/test/victim": compile_victim(kernel.arch, tmp_path_factory.mktemp("victim")),
        "/test/wanted.yaml": json.dumps(POLICY),
    }
    result = qemu.run(kernel, SCRIPT, files, smp=2, memory=1024)
    left = LEFT / f"executable-{kernel.name}"
    shutil.rmtree(left, ignore_errors=True)
    left.mkdir(parents=True)
    for name, content in {**result.files, "output": result.output.encode()}.items():
        (left / name).write_bytes(content)
    print(f"{kernel.name}: {result.wall_seconds:.1f} s, cpu {result.cpu_seconds:.1f} s")
    return Answer(result.files)


def test_it_starts_and_ends(answer: Answer) -> None:
    """By eBPF, with nothing to complain about, and SIGTERM ends it well."""
    log = answer.log("executable")
    assert "Listening for events" in log
    assert not re.findall(r"level=(?:warn|error).*", log)
    assert answer.files["executable-code"] == answer.files["pyz-code"] == b"0\n", log


def test_lives(answer: Answer) -> None:
    """Executions and ends of known programs: arguments, directory, links, status and signal."""
    events = answer.events("executable")
    executed = [one["process_exec"]["process"] for one in events if "process_exec" in one]
    ended = [one["process_exit"] for one in events if "process_exit" in one]
    words = [one.get("arguments", "") for one in executed if one["binary"] == "/test/victim"]
    assert words[0] == 'exit 7 "second word" "not \ufffd UTF-8"'
    assert words[1:4] == ["signal 11", "exec /test/victim exit 3", "exit 3"]
    assert executed[4]["parent_exec_id"] == executed[3]["exec_id"]  # another image of it
    assert words[4] == f'exit 0 "{"long":>20000}"'
    by_id = {one["process"]["exec_id"]: one for one in ended}
    ends = [by_id.get(one["exec_id"], {}) for one in executed if one["binary"] == "/test/victim"]
    assert [one.get("status") for one in ends] == [7, None, None, 3, None, None]
    assert [one.get("signal") for one in ends] == [None, "SIGSEGV", None, None, None, None]


def test_calls(answer: Answer) -> None:
    """A policy's hook: a system call with what it returned."""
    events = answer.events("executable")
    (call,) = [one["process_kprobe"] for one in events if "process_kprobe" in one]
    assert call["process"]["arguments"] == "wanted"
    assert call["function_name"].endswith("sys_openat")
    assert call["args"][1] == {"string_arg": "wanted"}
    assert call["return"] == {"int_arg": 3}


def test_the_events_are_the_same(answer: Answer) -> None:
    """Those of the .pyz, field by field, but for the times of each one's own records."""
    mine, others = ([_timeless(one) for one in answer.events(who)] for who in ("executable", "pyz"))
    assert mine == others
    assert len(mine) == 15


def _timeless(value: Any) -> Any:
    """Without what each agent's own programs read of the clock; an exec_id holds such a time."""
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k not in TIMES}
        return {name: _timeless(inner) for name, inner in kept.items()}
    return [_timeless(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", COMMANDS)
def test_the_commands_are_the_same(answer: Answer, name: str) -> None:
    """They print what the .pyz prints, and end as it does: well."""
    mine, others = (
        (answer.files[f"{who}-{name}"], answer.files[f"{who}-{name}-errors"])
        for who in ("executable", "pyz")
    )
    assert mine == others
    assert mine[0].endswith(b"\n0\n"), mine
