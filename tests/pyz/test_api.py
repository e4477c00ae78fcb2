# SPDX-License-Identifier: Apache-2.0
"""The gRPC API of the built file, spoken to by grpcio."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from tests.support.agent import Agent
from tests.support.api_client import Client, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.pyz, pytest.mark.kernel]


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    """One whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="tapi-") as path:
        yield Path(path)


@pytest.fixture(scope="module")
def agent(directory: Path) -> Iterator[Agent]:
    flags = ["--server-address", f"unix://{directory}/s", "--health-server-address", "[::1]:0"]
    with Agent(directory / "agent", *flags[:2], "--event-queue-size", "2000") as one:
        yield one.started()


@pytest.fixture
def client(agent: Agent, directory: Path) -> Iterator[Client]:
    with Client(f"unix://{directory}/s") as one:
        yield one


def arguments_of(event: Any) -> str:
    (message,) = (event[name] for name in event if name.startswith("process_"))
    found: str = message["process"].get("arguments", "")
    return found


def run_marked(mark: str) -> None:
    subprocess.run(["/bin/true", mark], check=True)


def test_the_socket_is_for_root_and_its_group(agent: Agent, directory: Path) -> None:
    """Mode 0660, and nothing of its making is left."""
    found = (directory / "s").stat()
    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o660
    assert not [name for name in os.listdir(directory) if name.startswith(".")]


def test_unary_calls(client: Client) -> None:
    """What the agent says of itself."""
    assert client.call("GetHealth")["health_status"] == [
        {
            "event": "HEALTH_STATUS_TYPE_STATUS",
            "status": "HEALTH_STATUS_RUNNING",
            "details": "running",
        }
    ]
    version = client.call("GetVersion")["version"]
    info = client.call("GetInfo")
    assert info["version"] == version
    conf = {one["key"]: one["value"]["value"] for one in info["conf"]}
    assert conf["event-queue-size"] == "2000"
    assert conf["debug"] is True
    assert conf["metrics-label-filter"] == ["namespace", "workload", "pod", "binary"]
    assert client.call("ListTracingPolicies") == {}
    assert client.call("ListDomains") == {}
    assert client.call("RuntimeHook", {"createContainer": {"cgroupsPath": "/x"}}) == {}
    sensors = client.call("ListSensors")["sensors"]
    assert {"name": "__base__", "enabled": True} in sensors


@pytest.mark.parametrize(
    ("name", "request_", "code", "text"),
    [
        ("EnableSensor", {}, grpc.StatusCode.UNKNOWN, "is deprecated"),
        ("AddTracingPolicy", {"yaml": "x"}, grpc.StatusCode.INVALID_ARGUMENT, "1:1: "),
        ("DeleteTracingPolicy", {"name": "p"}, grpc.StatusCode.NOT_FOUND, "grpc:p "),
        ("ConfigureTracingPolicy", {"name": "p"}, grpc.StatusCode.NOT_FOUND, "grpc:p "),
        ("DeleteTracingPolicy", {"name": "p", "domain": "x"}, grpc.StatusCode.NOT_FOUND, "x:p "),
        ("SetDebug", {}, grpc.StatusCode.INVALID_ARGUMENT, "level"),
    ],
)
def test_errors(client: Client, name: str, request_: Any, code: Any, text: str) -> None:
    """Have a code and a text."""
    with pytest.raises(grpc.RpcError) as caught:
        client.call(name, request_)
    assert caught.value.code() == code
    assert text in caught.value.details()


def test_an_unknown_call_is_refused(client: Client) -> None:
    """As gRPC tells it."""
    unknown = client.channel.unary_unary("/tetragon.FineGuidanceSensors/Nothing")
    with pytest.raises(grpc.RpcError) as caught:
        unknown(b"", timeout=30)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_the_log_level_changes(client: Client, agent: Agent) -> None:
    """And the log has who did it."""
    assert client.call("GetDebug") == {"level": "LOG_LEVEL_DEBUG"}
    assert client.call("SetDebug", {"level": "LOG_LEVEL_INFO"}) == {"level": "LOG_LEVEL_INFO"}
    assert client.call("GetDebug") == {"level": "LOG_LEVEL_INFO"}
    assert client.call("SetDebug", {"level": "LOG_LEVEL_DEBUG"}) == {"level": "LOG_LEVEL_DEBUG"}
    assert f'client="uid 0, pid {os.getpid()}"' in agent.log


POLICY = """
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: changed}
spec:
  tracepoints: [{subsystem: syscalls, event: sys_enter_sethostname}]
"""
POLICIES = {
    "AddTracingPolicy": {"yaml": POLICY},
    "DisableTracingPolicy": {"name": "changed"},
    "EnableTracingPolicy": {"name": "changed"},
    "ConfigureTracingPolicy": {"name": "changed", "enable": False},
    "DeleteTracingPolicy": {"name": "changed"},
}
CHANGES = {
    **POLICIES,
    "SetDebug": {"level": "LOG_LEVEL_DEBUG"},
    "/tetragon.EventLogService/SetEventLogParams": {"max_backups": 5},
    "RuntimeHook": {"createContainer": {"containerID": "abc"}},
}


def test_the_log_has_who_made_each_change(client: Client, agent: Agent) -> None:
    """User and process of whoever changes something, of each call that does."""
    client.call("GetVersion")
    for name, request in CHANGES.items():
        before = len(agent.log)
        client.call(name, request)
        assert f'client="uid 0, pid {os.getpid()}"' in agent.log[before:], name


def test_the_process_table_is_dumped(client: Client) -> None:
    """This process is in it."""
    asked = {"flag": "CONFIG_FLAG_DUMP_PROCESS_CACHE", "dump": {}}
    found = client.call("GetDebug", asked)["processes"]["processes"]
    mine = [one for one in found if one["process"]["pid"] == os.getpid()]
    assert mine[0]["refcnt"] >= 1
    assert mine[0]["color"] == "inUse"


def test_rules_of_the_export_file(client: Client) -> None:
    """Are read and set."""
    path = "/tetragon.EventLogService/"
    before = client.call(f"{path}GetEventLogParams")
    assert before == {"max_size": 100_000, "rotation_interval": "0s", "max_backups": 5}
    client.call(f"{path}SetEventLogParams", {"max_size": 7, "rotation_interval": "1h"})
    after = client.call(f"{path}GetEventLogParams")
    assert after == {"max_size": 7, "rotation_interval": "1h", "max_backups": 5}


def test_events_are_those_of_the_file(client: Client, agent: Agent) -> None:
    """The same messages, told as they happen."""
    stream = client.events()
    run_marked("mark-same")
    told = stream.until(lambda one: "process_exit" in one and arguments_of(one) == "mark-same")
    told = [one for one in told if arguments_of(one) == "mark-same"]
    stream.cancel()
    agent.fence()
    written = [json.loads(line) for line in agent.lines() if b'"arguments":"mark-same"' in line]
    assert told == written


def test_filters_are_the_servers(client: Client) -> None:
    """Allow list, deny list and field filters."""
    request = {
        "allow_list": [{"event_set": ["PROCESS_EXEC"], "arguments_regex": ["^mark-"]}],
        "deny_list": [{"arguments_regex": ["^mark-not"]}],
        "field_filters": [{"fields": "process.arguments,process.binary"}],
    }
    stream = client.events(request)
    for mark in ("other", "mark-not", "mark-yes"):
        run_marked(mark)
    first = next(iter(stream))
    assert first["process_exec"] == {"process": {"binary": "/bin/true", "arguments": "mark-yes"}}
    assert first["node_name"]
    stream.cancel()


def test_a_wrong_filter_is_refused(client: Client) -> None:
    """With what is wrong about it."""
    stream = Stream(client, {"allow_list": [{"binary_regex": ["("]}]}, {})
    with pytest.raises(grpc.RpcError) as caught:
        next(iter(stream))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "allow_list" in caught.value.details()


def test_equal_events_are_one_message(client: Client) -> None:
    """When the client asks for it; the count says how many they were."""
    request = {
        "allow_list": [{"event_set": ["PROCESS_EXEC"], "arguments_regex": ["^mark-agg$"]}],
        "aggregation_options": {"window_size": "1s"},
    }
    stream = client.events(request)
    for _ in range(5):
        run_marked("mark-agg")
    counts = 0
    for event in stream:
        counts += int(event.get("aggregation_info", {"count": "1"})["count"])
        if counts == 5:
            break
    stream.cancel()


def test_gzip_metadata_and_deadlines(client: Client) -> None:
    """What other clients do: compress, send 6 KB of metadata, give a time."""
    options = {"compression": grpc.Compression.Gzip, "metadata": [("token", "t" * 6000)]}
    assert client.call("GetVersion", **options)
    stream = client.events({}, timeout=1)
    with pytest.raises(grpc.RpcError) as caught:
        for _ in stream:
            pass
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


def test_many_clients_come_and_go(agent: Agent, directory: Path) -> None:
    """More than the server keeps; one that has a call stays."""
    with Client(f"unix://{directory}/s", **{"grpc.use_local_subchannel_pool": 1}) as first:
        stream = first.events({"allow_list": [{"arguments_regex": ["^mark-stay$"]}]})
        for number in range(100):
            with Client(f"unix://{directory}/s", **{"grpc.use_local_subchannel_pool": 1}) as one:
                assert one.call("GetVersion"), number
        run_marked("mark-stay")
        assert arguments_of(next(iter(stream))) == "mark-stay"
        stream.cancel()
    assert agent.process.poll() is None
