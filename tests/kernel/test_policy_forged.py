# SPDX-License-Identifier: Apache-2.0
"""Who wants to be taken for a program that a policy leaves out, on this kernel."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.test_policy_lineage import BASE, hook, reported
from tests.support.agent import Agent
from tests.support.compile import installed
from tests.support.policy_agent import drained, policy, started

NOBODY = 65534
USER = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]
WRITTEN = {"options": [{"name": "written-path", "value": "true"}]}


class Cast:
    """Processes that call once, and once in a child."""

    def __init__(self, top: Path) -> None:
        self.host, self.evil = installed("family", top), top / "evil"
        shutil.copy(self.host, self.evil)
        self.forge = installed("forge", top)
        self.numbers: dict[str, int] = {}
        jail = self._jail(top / "jail")
        mount = f'mount --bind {self.evil} {self.host}; exec "$@"'
        shell = ["sh", "-ec", mount, "sh"]
        self.commands: dict[str, list[str]] = {
            "itself": [],
            "its user": USER,
            "mount": ["unshare", "-m", "--propagation=private", "--", *shell],
            "root": ["chroot", str(jail)],
            "user's mount": [*USER, "unshare", "-Urm", "--", *shell],
            "user's root": [*USER, "unshare", "-Ur", "--", "chroot", str(jail)],
        }

    def _jail(self, jail: Path) -> Path:
        """A root directory in which the program is at the path of the host's."""
        listed = subprocess.run(["ldd", self.evil], check=False, capture_output=True).stdout
        for library in [*re.findall(r"(/\S+) \(0x", listed.decode()), str(self.host)]:
            target = jail / library.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.evil if library == str(self.host) else library, target)
        return jail

    def act(self) -> None:
        """Each runs what it takes for the host's program."""
        self.run("other", str(self.evil))
        for name, before in self.commands.items():
            self.run(name, *before, str(self.host))
        for name, words in (("forged", []), ("forged by another", ["by-another"])):
            number = 2 * len(self.numbers) + 1
            command = [*USER, str(self.forge), str(self.host), str(BASE + number), *words]
            ended = subprocess.run(command, check=False, capture_output=True)
            if ended.returncode != 3:  # else there are no user namespaces here
                assert not ended.returncode, (name, ended)
                self.numbers[name] = number

    def run(self, name: str, *command: str) -> None:
        number = 2 * len(self.numbers) + 1
        words = ["call", str(BASE + number), "fork", "call", str(BASE + number + 1)]
        ended = subprocess.run([*command, *words], check=False, capture_output=True)
        if b"unshare" not in ended.stderr:
            assert not ended.returncode, (name, ended)
            self.numbers[name] = number

    def told(self, agent: Agent, name: str, of_child: bool = False) -> set[str]:
        """Whose calls a policy told."""
        found = set(reported(agent, name))
        return {who for who, number in self.numbers.items() if number + of_child in found}


def _policy(name: str, how: dict[str, Any], **spec: Any) -> str:
    return policy(name, {"tracepoints": [hook(how)], **spec})


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cast, Agent]]:
    """All policies in one agent, and all have acted."""
    top = tmp_path_factory.mktemp("forged")
    for directory in (top, *top.parents[:3]):  # others than root must get there
        directory.chmod(0o755)
    cast = Cast(top)
    values = [str(cast.host)]
    left_out = {"operator": "NotIn", "values": values}
    follows = {**left_out, "followChildren": True}
    beginning = {"operator": "NotPrefix", "values": [str(cast.host)[:-1]]}
    end = {"operator": "NotPostfix", "values": [str(cast.host)[-20:]]}
    texts = {
        "named": _policy("named", {"matchBinaries": [{"operator": "In", "values": values}]}),
        "notin": _policy("notin", {"matchBinaries": [left_out]}),
        "notprefix": _policy("notprefix", {"matchBinaries": [beginning]}),
        "notpostfix": _policy("notpostfix", {"matchBinaries": [end]}),
        "follows": _policy("follows", {"matchBinaries": [follows]}),
        "parents": _policy("parents", {"matchParentBinaries": [left_out]}),
        "ends": _policy("ends", {"matchParentBinaries": [end]}),
        "written": _policy("written", {"matchBinaries": [left_out]}, **WRITTEN),
        "writtenfollows": _policy("writtenfollows", {"matchBinaries": [follows]}, **WRITTEN),
    }
    with started(top / "agent", **texts) as agent:
        agent.started()
        cast.act()
        drained(agent, "played")
        yield cast, agent
        assert agent.stop() == 0


ITSELF = {"itself", "its user"}


@pytest.mark.parametrize("name", ["notin", "notprefix", "notpostfix", "follows"])
def test_nobody_else_is_left_out(played: tuple[Cast, Agent], name: str) -> None:
    """By a path that leads elsewhere in a namespace or a root directory, or a file named later."""
    cast, agent = played
    everybody = set(cast.numbers)
    assert cast.told(agent, name) == everybody - ITSELF
    forged = {who for who in everybody if who.startswith("forged")}
    assert cast.told(agent, name, of_child=True) == everybody - ITSELF - forged


@pytest.mark.parametrize("name", ["parents", "ends"])
def test_no_other_parent_is_left_out(played: tuple[Cast, Agent], name: str) -> None:
    """What a parent ran is told from when it was executed."""
    cast, agent = played
    told = cast.told(agent, name, of_child=True)
    assert told == {who for who in cast.numbers if not who.startswith("forged")} - ITSELF


def test_a_path_that_is_asked_for_counts(played: tuple[Cast, Agent]) -> None:
    """As in Tetragon, whosever file it is."""
    cast, agent = played
    assert cast.told(agent, "named") == set(cast.numbers) - {"other"}


def test_a_policy_may_mean_the_path_as_it_is_written(played: tuple[Cast, Agent]) -> None:
    """As Tetragon does; who knows it hides from the policy."""
    cast, agent = played
    assert cast.told(agent, "written") == {"other"}
    forged = {who for who in cast.numbers if who.startswith("forged")}
    assert cast.told(agent, "writtenfollows") == {"other"} | forged
