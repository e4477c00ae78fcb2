# SPDX-License-Identifier: Apache-2.0
"""Policies that a client of the API adds, takes out and puts back, if the agent may load them."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from tests.support.agent import Agent
from tests.support.api_client import Client
from tests.support.compile import installed
from tests.support.policy_agent import listed, policy, started

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.kernel, pytest.mark.pyz]

# A call that nobody else on this machine makes; with these arguments it fails.
POLICY = """
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata:
  name: from-a-client
spec:
  tracepoints:
  - subsystem: syscalls
    event: sys_enter_sethostname
    args:
    - index: 5
      type: int64
"""
CALL = "import ctypes; ctypes.CDLL(None).sethostname(None, -1)"


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with tempfile.TemporaryDirectory(prefix="tapi-") as directory:
        flags = ["--server-address", f"unix://{directory}/s"]
        with Agent(Path(directory) / "agent", *flags) as agent:
            agent.started()
            with Client(f"unix:{directory}/s") as one:
                yield one


def states(client: Client) -> list[Any]:
    found = client.call("ListTracingPolicies").get("policies", [])
    return [(one["name"], one["state"]) for one in found]


def calls(client: Client) -> list[Any]:
    """The events of a call that the policy is about, up to the process's exit."""
    wanted = {"event_set": ["PROCESS_TRACEPOINT", "PROCESS_EXIT"], "binary_regex": ["/python"]}
    stream = client.events({"allow_list": [wanted]})
    python = subprocess.Popen([sys.executable, "-c", CALL])
    python.wait()
    found = stream.until(
        lambda one: one.get("process_exit", {}).get("process", {}).get("pid") == python.pid
    )
    stream.cancel()
    return [one["process_tracepoint"] for one in found if "process_tracepoint" in one]


def test_a_policy_comes_and_goes(client: Client) -> None:
    """Added, observed, disabled, enabled, deleted; a second one of its name is refused."""
    assert states(client) == []
    assert calls(client) == []
    client.call("AddTracingPolicy", {"yaml": POLICY})
    assert states(client) == [("from-a-client", "TP_STATE_ENABLED")]
    (event,) = calls(client)
    assert event["policy_name"] == "from-a-client"
    with pytest.raises(grpc.RpcError) as caught:
        client.call("AddTracingPolicy", {"yaml": POLICY})
    assert "loaded already" in caught.value.details()
    client.call("DisableTracingPolicy", {"name": "from-a-client"})
    assert states(client) == [("from-a-client", "TP_STATE_DISABLED")]
    with pytest.raises(grpc.RpcError):  # it is there, if not in the kernel
        client.call("AddTracingPolicy", {"yaml": POLICY})
    assert states(client) == [("from-a-client", "TP_STATE_DISABLED")]
    assert calls(client) == []
    client.call("ConfigureTracingPolicy", {"name": "from-a-client", "enable": True})
    assert ("from-a-client", "TP_STATE_ENABLED") in states(client)
    assert len(calls(client)) == 1
    client.call("DeleteTracingPolicy", {"name": "from-a-client"})
    assert states(client) == []
    assert calls(client) == []


def test_a_wrong_policy_is_refused(client: Client) -> None:
    """With the place of the mistake."""
    with pytest.raises(grpc.RpcError) as caught:
        client.call("AddTracingPolicy", {"yaml": POLICY.replace("tracepoints", "tracepoint")})
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "tracepoint" in caught.value.details()


def test_what_is_refused_without_a_name_is_in_no_list(tmp_path: Path) -> None:
    """Nobody could take it out of it; one with a name stays, as Tetragon has it."""
    with started(tmp_path / "agent", "--server-address", f"unix://{tmp_path}/s") as agent:
        agent.started()
        with Client(f"unix:{tmp_path}/s") as client:
            for text in ("no policy", POLICY.replace("sethostname", "nothing")):
                with pytest.raises(grpc.RpcError):
                    client.call("AddTracingPolicy", {"yaml": text})
                wanted = [] if text == "no policy" else ["from-a-client"]
                assert [name for name, _ in states(client)] == wanted
                assert [one["name"] for one in listed(agent)] == wanted


def test_only_what_is_loaded_is_logged_as_added(tmp_path: Path) -> None:
    """Who reads the log finds no policy that was refused."""
    with Agent(tmp_path / "agent", "--server-address", f"unix://{tmp_path}/s") as agent:
        agent.started()
        with Client(f"unix:{tmp_path}/s") as client:
            with pytest.raises(grpc.RpcError):
                client.call("AddTracingPolicy", {"yaml": POLICY.replace("tracepoints", "points")})
            client.call("AddTracingPolicy", {"yaml": POLICY})
        lines = [line for line in agent.log.splitlines() if "Policy is added" in line]
    assert [line.rpartition(" ")[2] for line in lines] == ["metadata.name=from-a-client"]


def test_they_are_there_at_the_next_start(tmp_path: Path) -> None:
    """With --persist-grpc-policies, enabled or not as they were, also when the agent is killed."""
    flags = ["--server-address", f"unix://{tmp_path}/s", "--persist-grpc-policies"]
    flags += ["--persist-grpc-policies-dir", str(tmp_path / "kept")]
    with Agent(tmp_path / "one", *flags) as agent, Client(f"unix:{tmp_path}/s") as client:
        agent.started()
        for name in ("stays", "rests", "goes"):
            client.call("AddTracingPolicy", {"yaml": POLICY.replace("from-a-client", name)})
        client.call("DisableTracingPolicy", {"name": "rests"})
        client.call("DeleteTracingPolicy", {"name": "goes"})
        with pytest.raises(grpc.RpcError):
            client.call("AddTracingPolicy", {"yaml": POLICY.replace("sethostname", "nothing")})
        agent.send(signal.SIGKILL)
        agent.wait()
    with Agent(tmp_path / "two", *flags) as agent, Client(f"unix:{tmp_path}/s") as client:
        agent.started()
        wanted = [("rests", "TP_STATE_DISABLED"), ("stays", "TP_STATE_ENABLED")]
        assert states(client) == wanted
        assert [event["policy_name"] for event in calls(client)] == ["stays"]
        client.call("EnableTracingPolicy", {"name": "rests"})
        assert len(calls(client)) == 2


def test_others_come_and_go_while_one_observes(client: Client, tmp_path: Path) -> None:
    """At the same function of a program; of its calls not one is missing, and none told twice."""
    target = installed("called", tmp_path)
    steady, other = (uprobe(name, target) for name in ("steady", "other"))
    client.call("AddTracingPolicy", {"yaml": steady})
    stream = client.events({"allow_list": [{"policy_names": ["steady"]}]})
    count, pause = 3000, 200
    with subprocess.Popen([target], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        for number in range(count):
            if not number % pause:
                process.stdin.flush()
                toggle(client, other, number // pause)
            process.stdin.write(b"%d 1 2 3 61\n" % number)
    found = stream.until(lambda event: argument(event) == count - 1)
    stream.cancel()
    assert [argument(event) for event in found] == list(range(count))
    client.call("DeleteTracingPolicy", {"name": "steady"})


def uprobe(name: str, target: Path) -> str:
    hook = {"path": str(target), "symbols": ["called"], "args": [{"index": 0, "type": "int"}]}
    return policy(name, {"uprobes": [hook]})


def argument(event: Any) -> int:
    (one,) = event["process_uprobe"]["args"]
    return int(one.get("int_arg", 0))


def toggle(client: Client, text: str, turn: int) -> None:
    """The next change of a policy that is about to be added at the first turn."""
    changes = (
        ("AddTracingPolicy", {"yaml": text}),
        ("DisableTracingPolicy", {"name": "other"}),
        ("EnableTracingPolicy", {"name": "other"}),
        ("DeleteTracingPolicy", {"name": "other"}),
    )
    client.call(*changes[turn % len(changes)])
