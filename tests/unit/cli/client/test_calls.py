# SPDX-License-Identifier: Apache-2.0
"""Commands that ask an agent: what they send, what they print, and how they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from tests.unit.cli.client.server import Server
from tetrapy.cli.client import main
from tetrapy.client.policy_table import bytes_text

if TYPE_CHECKING:
    from collections.abc import Iterator

SENSORS = "FineGuidanceSensors"
ROOT = Path(__file__).resolve().parents[4]
POLICY = "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nspec:\n  kprobes: []\n"
EVENTS = [
    {"process_exec": {"process": {"binary": "/bin/ls"}}, "node_name": "n"},
    {"process_exit": {"process": {"binary": "/bin/ls"}, "status": 2}, "node_name": "n"},
]


@pytest.fixture(name="server")
def fixture_server(tmp_path: Path) -> Iterator[Server]:
    """One on a unix socket."""
    with Server(f"unix://{tmp_path}/socket") as server:
        yield server


@pytest.fixture(name="tetra")
def fixture_tetra(server: Server, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command against the server; gives exit code and both outputs."""

    def run(*words: str) -> tuple[int, str, str]:
        code = main([*words, "--server-address", server.address], "tetra")
        done = capsys.readouterr()
        return code, done.out, done.err

    return run


def test_status(server: Server, tetra: Any) -> None:
    """What the agent says of itself, or that it says nothing."""
    server.answers[f"{SENSORS}/GetHealth"] = {
        "health_status": [{"event": "HEALTH_STATUS_TYPE_STATUS", "details": "running"}]
    }
    assert tetra("status") == (0, "Health Status: running\n", "")
    server.answers.clear()
    assert tetra("status") == (0, "Health Status: no status available\n", "")


def test_version(server: Server, tetra: Any) -> None:
    """Of both ends."""
    server.answers[f"{SENSORS}/GetVersion"] = {"version": "v1.8.0"}
    code, out, _ = tetra("version", "--server")
    assert (code, out.splitlines()[1]) == (0, "Server version: v1.8.0")


def test_info(server: Server, tetra: Any) -> None:
    """One document, its keys in order; values of the four types."""
    url = "type.googleapis.com/google.protobuf."
    server.answers[f"{SENSORS}/GetInfo"] = {
        "version": "v1",
        "name": "Tetragon",
        "probes": [{"Name": "lsm", "Enabled": True}, {"Name": "buildid", "Enabled": False}],
        "conf": [
            {"key": "b", "value": {"@type": f"{url}StringValue", "value": "x"}},
            {"key": "a", "value": {"@type": f"{url}Int64Value", "value": "7"}},
            {"key": "c", "value": {"@type": f"{url}BoolValue", "value": True}},
            {"key": "d", "value": {"@type": f"{url}ListValue", "value": ["y", "z"]}},
        ],
        "build": {"go_version": "none"},
    }
    code, out, err = tetra("info")
    assert (code, err) == (0, "")
    assert out == (
        '{"Name":"Tetragon","Version":"v1","Probes":{"buildid":false,"lsm":true},'
        '"Conf":{"a":7,"b":"x","c":true,"d":["y","z"]},'
        '"Build":{"GoVersion":"none","Commit":"","Time":"","Modified":""}}\n'
    )


def test_log_level(server: Server, tetra: Any) -> None:
    """Read and set by the names that Tetragon's client takes."""
    flag = "CONFIG_FLAG_LOG_LEVEL"
    server.answers[f"{SENSORS}/GetDebug"] = {"flag": flag, "level": "LOG_LEVEL_INFO"}
    server.answers[f"{SENSORS}/SetDebug"] = {"flag": flag, "level": "LOG_LEVEL_WARN"}
    assert tetra("loglevel", "get") == (0, "Current log level: LOG_LEVEL_INFO\n", "")
    assert tetra("log", "set", "warning") == (0, "Log level set to: LOG_LEVEL_WARN\n", "")
    assert server.asked[-1] == (f"{SENSORS}/SetDebug", {"level": "LOG_LEVEL_WARN"})
    assert tetra("loglevel", "set", "loud") == (1, "", "Error: invalid log level: loud\n")
    assert tetra("loglevel", "set")[0] == 1


def test_policies(server: Server, tetra: Any, tmp_path: Path) -> None:
    """What is sent and said for each change."""
    path = tmp_path / "p.yaml"
    path.write_text(POLICY)
    assert tetra("tp", "add", str(path)) == (0, f'tracing policy "{path}" added\n', "")
    assert server.asked[-1] == (f"{SENSORS}/AddTracingPolicy", {"yaml": POLICY})
    tetra("tracingpolicy", "add", "-m", "monitor", "--domain", "x", str(path))
    request = server.asked[-1][1]
    assert request["domain"] == "x"
    assert "- name: policy-mode\n    value: monitor" in request["yaml"]
    assert tetra("tp", "delete", "a", "-n", "ns") == (0, 'tracing policy "a" deleted\n', "")
    assert server.asked[-1][1] == {"name": "a", "namespace": "ns"}
    assert tetra("tp", "enable", "a") == (0, 'tracing policy "a" enabled\n', "")
    assert server.asked[-1] == (
        f"{SENSORS}/ConfigureTracingPolicy",
        {"name": "a", "enable": True},
    )
    assert tetra("tp", "disable", "a") == (0, 'tracing policy "a" disabled\n', "")
    assert server.asked[-1][1] == {"name": "a", "enable": False}
    said = 'tracing policy "a" set to mode "monitor"\n'
    assert tetra("tp", "set-mode", "a", "monitor") == (0, said, "")
    assert server.asked[-1][1] == {"name": "a", "mode": "TP_MODE_MONITOR"}
    assert tetra("tp", "set-mode", "a", "loud") == (1, "", "Error: invalid mode: loud\n")
    code, out, _ = tetra("tp", "modify", "-m", "enforce", str(path))
    assert (code, "value: enforce" in out) == (0, True)


def test_the_agent_refuses(server: Server, tetra: Any, tmp_path: Path) -> None:
    """Its words, with gRPC's name of the code, and exit code 1."""
    path = tmp_path / "p.yaml"
    path.write_text(POLICY)
    server.answers[f"{SENSORS}/AddTracingPolicy"] = (grpc.StatusCode.UNKNOWN, "no such hook")
    assert tetra("tp", "add", str(path)) == (
        1,
        "",
        "Error: failed to add tracing policy: rpc error: code = Unknown desc = no such hook\n",
    )
    code, _, err = tetra("tp", "add", "/no/such/file")
    assert (code, err) == (
        1,
        "Error: failed to read yaml file /no/such/file: No such file or directory\n",
    )
    assert tetra("tp", "add")[2] == "Error: accepts 1 arg(s), received 0\n"


def test_list(server: Server, tetra: Any) -> None:
    """The table that Tetragon's client prints, or the reply."""
    policies = [
        {
            "id": "1",
            "name": "a-long-name",
            "sensors": ["generic_kprobe", "enforcer"],
            "state": "TP_STATE_ENABLED",
            "kernel_memory_bytes": "4458824",
            "mode": "TP_MODE_ENFORCE",
            "stats": {
                "action_counters": {"post": "3", "signal": "1", "set": "2", "monitor_override": "4"}
            },
            "domain": "grpc",
        },
        {
            "id": "12",
            "name": "b",
            "namespace": "ns",
            "filter_id": "5",
            "state": "TP_STATE_PARTIALLY_ENABLED",
            "hook_statuses": [
                {"section": "kprobes", "state": "STATUS_LOADED", "hook_description": "f"},
                {"section": "kprobes", "state": "STATUS_CALL_NOT_FOUND", "hook_idx": 1},
            ],
        },
    ]
    server.answers[f"{SENSORS}/ListTracingPolicies"] = {"policies": policies}
    code, out, _ = tetra("tp", "list", "--domain", "grpc")
    assert server.asked[-1][1] == {"domain": "grpc"}
    assert code == 0
    assert out == (
        "ID   NAME          DOMAIN   STATE               FILTERID   NAMESPACE   SENSORS"
        "                   KERNELMEMORY   MODE      NPOST   NENFORCE   NMONITOR\n"
        "1    a-long-name   grpc     enabled             0          (global)    "
        "generic_kprobe,enforcer   4.46 MB        enforce   3       3          4\n"
        "12   b                      partially_enabled   5          ns          "
        "                          0 B            unknown   0       0          0\n"
        "     SECTION   CFGIDX   DESCRIPTION   STATUS\n"
        "     kprobes   0        f             loaded\n"
        "     kprobes   1                      call_not_found\n"
    )
    _, out, _ = tetra("tp", "list", "-o", "json")
    assert json.loads(out) == {"policies": policies}
    server.answers[f"{SENSORS}/ListDomains"] = {"domains": ["grpc", "static"]}
    assert tetra("tp", "domains")[1] == "[grpc static]\n"


def test_sensors_and_event_log(server: Server, tetra: Any) -> None:
    """The old commands, and the rules of the export file."""
    server.answers[f"{SENSORS}/ListSensors"] = {
        "sensors": [{"name": "a", "enabled": True, "collection": "c"}, {"name": "b"}]
    }
    assert tetra("sensors", "list")[1] == "a (enabled) c\nb (not enabled) \n"
    assert tetra("sensors", "rm", "a") == (0, "", "")
    assert tetra("sensors", "disable", "a") == (0, "sensor a disabled\n", "")
    log = "EventLogService"
    server.answers[f"{log}/GetEventLogParams"] = {"max_size": 10, "rotation_interval": "1h0m0s"}
    assert tetra("eventlog", "get")[1] == (
        'Current logging parameters: max_size:10 rotation_interval:"1h0m0s"\n'
    )
    assert tetra("eventlog", "set", "--max-size", "0", "--rotation-interval", "90s")[0] == 0
    name, request = server.asked[-1]
    assert (name, set(request)) == (f"{log}/SetEventLogParams", {"max_size", "rotation_interval"})


def test_runtime_hooks(server: Server, tetra: Any) -> None:
    """What is not given is not told; an annotation has a value."""
    create = ("rthooks", "create-container", "--container-id", "/a/b", "--annotations")
    assert tetra(*create, "x=1,y=")[0] == 0
    container = {"cgroupsPath": "/a/b", "annotations": {"x": "1", "y": ""}}
    assert server.asked[-1] == (f"{SENSORS}/RuntimeHook", {"createContainer": container})
    assert "'z' is no name=value" in tetra(*create, "z")[2]


def test_process_cache(server: Server, tetra: Any) -> None:
    """A line for each process; another answer than was asked for is an error."""
    server.answers[f"{SENSORS}/GetDebug"] = {
        "flag": "CONFIG_FLAG_DUMP_PROCESS_CACHE",
        "processes": {"processes": [{"process": {"pid": 1}, "refcnt": 2}, {"color": "x"}]},
    }
    code, out, _ = tetra("dump", "processcache", "--skip-zero-refcnt")
    assert (code, out) == (0, '{"process":{"pid":1},"refcnt":2}\n{"color":"x"}\n')
    assert server.asked[-1][1] == {
        "flag": "CONFIG_FLAG_DUMP_PROCESS_CACHE",
        "dump": {"skip_zero_refcnt": True},
    }
    assert tetra("debug", "dump", "processCache")[1] == out
    server.answers[f"{SENSORS}/GetDebug"] = {"level": "LOG_LEVEL_INFO"}
    assert "unexpected response flag" in tetra("dump", "processcache")[2]


@pytest.mark.slow
def test_retries(server: Server, tetra: Any) -> None:
    """Only where nobody answers, as often as is asked for."""
    method = f"{SENSORS}/GetVersion"
    away = (grpc.StatusCode.UNAVAILABLE, "try again")
    server.answers[method] = [away, {"version": "v1"}]
    assert "Server version: v1" in tetra("version", "-s")[1]
    server.answers[method] = [away, {"version": "v1"}]
    code, _, err = tetra("version", "-s", "--retries", "0")
    assert (code, "code = Unavailable desc = try again" in err) == (1, True)


def test_nobody_answers(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The address that was tried is in the error."""
    address = f"unix://{tmp_path}/none"
    assert main(["status", "--server-address", address, "--retries=0"], "tetra") == 1
    err = capsys.readouterr().err
    assert err.startswith(
        "Error: failed to get health status: rpc error: code = Unavailable desc ="
    )
    assert f"{tmp_path}/none" in err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--tls-cert-file x", "must be set together"),
        ("--tls-skip-verify --tls-ca-cert-files x", "without effect"),
        ("--tls-ca-cert-files /no/file", "building TLS credentials: "),
    ],
)
def test_wrong_flags_of_tls(capsys: pytest.CaptureFixture[str], flags: str, message: str) -> None:
    """They are told before anybody is asked."""
    assert main(["status", *flags.split()], "tetra") == 1
    assert message in capsys.readouterr().err


def events(server: Server, *words: str) -> subprocess.Popen[str]:
    """`getevents` with a terminal's like on standard input."""
    code = "import sys; from tetrapy.cli.client import main; sys.exit(main(sys.argv[1:], 'tetra'))"
    command = [sys.executable, "-c", code, "getevents", *words]
    return subprocess.Popen(
        [*command, "--server-address", server.address],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.mark.slow
def test_events(server: Server) -> None:
    """They are printed as they come, until the agent ends; the flags are the request."""
    server.answers[f"{SENSORS}/GetEvents"] = EVENTS
    process = events(server, "-o", "compact", "--host", "-e", "PROCESS_EXEC", "-F", "parent,time")
    assert process.communicate() == ("🚀 process n /bin/ls \n💥 exit    n /bin/ls  2\n", "")
    assert process.returncode == 0
    assert server.asked == [
        (
            f"{SENSORS}/GetEvents",
            {
                "allow_list": [{"namespace": [""], "event_set": ["PROCESS_EXEC"]}],
                "field_filters": [{"fields": "parent,time", "action": "EXCLUDE"}],
            },
        )
    ]
    process = events(server)
    assert [json.loads(line) for line in process.communicate()[0].splitlines()] == EVENTS
    assert server.asked[-1][1] == {"allow_list": [{}]}


@pytest.mark.slow
def test_the_stream_breaks(server: Server) -> None:
    """An error, or with --reconnect another try, until a signal ends it without one."""
    server.answers[f"{SENSORS}/GetEvents"] = [EVENTS[0], (grpc.StatusCode.INTERNAL, "broken")]
    process = events(server, "-o", "compact")
    out, err = process.communicate()
    assert (process.returncode, out) == (1, "🚀 process n /bin/ls \n")
    assert err == "Error: failed to receive events: rpc error: code = Internal desc = broken\n"
    process = events(server, "--reconnect", "--reconnect-wait", "10ms")
    while len(server.asked) < 4:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate()
    assert process.returncode == 0
    assert "retrying in 10ms" in err


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (30_410_000, "30.41 MB"), (1 << 60, "1.15 EB")],
)
def test_bytes(count: int, text: str) -> None:
    """In powers of 1000."""
    assert bytes_text(count) == text


def test_old_agents(server: Server, tetra: Any) -> None:
    """They have calls of their own for what one call does today."""
    server.answers[f"{SENSORS}/ConfigureTracingPolicy"] = (grpc.StatusCode.UNIMPLEMENTED, "what?")
    assert tetra("tp", "enable", "a") == (0, 'tracing policy "a" enabled\n', "")
    assert server.asked[-1] == (f"{SENSORS}/EnableTracingPolicy", {"name": "a"})
    assert tetra("tp", "disable", "a", "-n", "ns")[0] == 0
    assert server.asked[-1][1] == {"name": "a", "namespace": "ns"}
    code, _, err = tetra("tp", "set-mode", "a", "enforce")
    assert (code, "code = Unimplemented desc = what?" in err) == (1, True)
