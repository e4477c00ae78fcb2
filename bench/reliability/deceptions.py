# SPDX-License-Identifier: Apache-2.0
"""Attacks that tell the agent something else than what is: is it taken in?"""

from __future__ import annotations

import json
import os
import random
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.reliability import cgroups
from bench.reliability.attack import ATTACKER
from bench.reliability.setting import Setting, all_lines, ended, execs, fence, scrape
from bench.reliability.watched import free_port
from tools.errors import BuildError

_ID = "0123456789abcdef" * 4
_MADE_UP = 1000  # containers
_ANSWER = 0.05  # seconds for one of a runtime's: more than the agent waits, for all of them
# A program that has no path, and one that bears another name when it runs.
_MEMFD = (
    'import os, sys; fd = os.memfd_create("/usr/bin/apt"); '
    'os.write(fd, open(sys.argv[1], "rb").read()); os.execve(fd, ["apt", sys.argv[2]], {})'
)
_MOVED = (
    "import os, sys; fd = os.open(sys.argv[1], os.O_PATH); os.unlink(sys.argv[1]); "
    'os.execve(f"/proc/self/fd/{fd}", ["apt", sys.argv[2]], {})'
)
_SHADOWED = ("google", "lark", "pyroute2", "yaml", "celpy", "regex")


def forged_paths(setting: Setting) -> list[str]:
    """A user's own program, started by a path that reads like a system's, past a deny list."""
    home = setting.directory / "home"
    for name in ("cwd", "e/usr/bin", "e/usr/lib/systemd"):
        (home / name).mkdir(parents=True)
    program = setting.programs.nothing.read_bytes()
    for name in ("e/usr/bin/apt", "e/usr/lib/systemd/systemd"):
        (home / name).write_bytes(program)
        (home / name).chmod(0o755)
    # As text, so many steps up from cwd/l are the root; where the link leads they are `e`.
    ups = len((home / "cwd").parts)
    deep = home / "e" / "/".join(map(str, range(ups)))
    deep.mkdir(parents=True)
    (home / "cwd/l").symlink_to(deep)
    for path in [home, *home.rglob("*")]:
        os.chown(path, ATTACKER, ATTACKER, follow_symlinks=False)
    up = "/".join([".."] * ups)
    below = str(home).lstrip("/")
    ns = "unshare -Urm sh -c"
    scripts = {
        "relative": f"cd {home}/cwd; exec l/{up}/usr/bin/apt",
        "absolute": f"exec /usr/lib/systemd/../../../{below}/e/usr/bin/apt",
        "chroot": f"exec unshare -Ur chroot {home}/e /usr/lib/systemd/systemd",
        "mounted": f"exec {ns} 'mount --bind {home}/e/usr /usr && exec /usr/bin/apt \"$0\"'",
        "descriptor": f"exec 3< {home}/e/usr/bin/apt; cd /usr/bin; exec /proc/self/fd/3",
        "detached": f"exec {ns} 'mount -t tmpfs x {home}/cwd && mkdir -p {home}/cwd/usr/bin && "
        f"cp {home}/e/usr/bin/apt {home}/cwd/usr/bin/ && cd {home}/cwd && "
        f'umount -l {home}/cwd && exec usr/bin/apt "$0"\'',
    }
    apt = f"{home}/e/usr/bin/apt"
    scripts |= {
        "file-mounted": f"exec {ns} 'mount --bind {apt} /usr/bin/id && exec /usr/bin/id \"$0\"'",
        "overlaid": f"exec {ns} 'mount -t overlay x -o lowerdir={home}/e/usr/bin:/usr/bin /usr/bin"
        ' && exec /usr/bin/apt "$0"\'',
        "root-moved": f"exec {ns} 'mount --rbind {home}/e {home}/e && cd {home}/e && mkdir -p old"
        ' && pivot_root . old && exec /usr/bin/apt "$0"\'',
        "directory-of-a-process": f"cd {home}/e/usr/bin; exec /proc/self/cwd/apt",
        "no-file": f"exec /usr/bin/python3 -c '{_MEMFD}' {apt}",
        "moved-away": f"cp {apt} {home}/cwd/a; exec /usr/bin/python3 -c '{_MOVED}' {home}/cwd/a",
    }
    denied = ["^/usr/bin/(apt|id)$", "^/usr/lib/systemd/", "^/proc/self/", "^/memfd:"]
    deny = json.dumps({"binary_regex": denied})
    ran = []
    with setting.agent(f"--export-denylist={deny}") as agent:
        for name, script in scripts.items():
            tag = f"forged-{name}-{os.getpid()}"
            if setting.start(["sh", "-c", f'{script} "{tag}"']).wait() == 0:
                ran.append((name, tag))
        fence(agent, setting)
        reported = execs(agent.export)
        wrong = ended(agent)
    # Shells and helpers that bear the tag in their own arguments are none of those.
    names = {one.get("arguments") for one in reported}
    wrong += [f"{name}: the deny list hides it" for name, tag in ran if tag not in names]
    return wrong if ran else [*wrong, "no forged path could be run"]


def container_ids(setting: Setting) -> list[str]:
    """Cgroups with names that a container's could have, and of containers."""
    long = "backup_of_the_accounting_database_to_the_second_data_centre_every_night"
    places = {
        f"docker/{_ID}": True,
        f"docker/{_ID}/mine": True,
        f"kubepods/crio-{_ID}.scope/container": True,
        f"system/docker-{_ID}.scope": True,
        f"system/{long}.scope": False,
        f"machine/libpod-conmon-{_ID}.scope": False,
        "machine/3f1c9a0c7d2e4b5f8a6d7c8b9e0f1a2b": False,
        f"docker/{_ID[:-1]}g": False,
        f"docker/{_ID[:-1]}": False,
    }
    wrong = []
    # Without waiting for their containers, all events are in the order in which they happened.
    with cgroups.named(list(places)) as made, setting.agent("--container-wait=0s") as agent:
        pids = {
            name: setting.start(
                ["sh", "-c", 'echo 0 > "$0"; exec "$1" in', f"{path}/cgroup.procs",
                 str(setting.programs.nothing)],
                uid=0,
            )
            for name, path in made.items()
        }  # fmt: skip
        for process in pids.values():
            process.wait()
        fence(agent, setting)
        reported = {one["pid"]: one.get("docker", "") for one in execs(agent.export)}
        wrong = ended(agent)
        for name, is_one in places.items():
            found = reported.get(pids[name].pid)
            if found is None or bool(found) != is_one:
                wrong.append(f"{name}: docker={found!r}")
    return wrong


def made_up_containers(setting: Setting) -> list[str]:
    """A user's cgroups, called as containers' are, each to be asked for before another's one."""
    known = f"docker/{_ID}"
    made_up = [f"user@{ATTACKER}.service/docker-{number:064x}.scope" for number in range(_MADE_UP)]
    path = setting.directory / "docker.sock"
    flags = (f"--container-sockets={path}", "--container-directories=")
    with (
        _slow_runtime(path) as asked,
        cgroups.named([known, *made_up]) as made,
        setting.agent(*flags) as agent,
    ):

        def run_in(name: str, tag: str) -> None:
            entry = made[name] / "cgroup.procs"
            # As root, who may go everywhere: it is the cgroup that says whose it is.
            setting.run(tag, uid=0, preexec_fn=lambda: entry.write_text("0"))

        for name in made_up:
            run_in(name, "made-up")
        run_in(known, "known")
        waiting = _MADE_UP - len(asked)
        reported: list[dict[str, Any]] = []
        while not reported:
            fence(agent, setting)
            reported = [one for one in execs(agent.export) if one.get("arguments") == "known"]
        wrong = ended(agent)
    if waiting < _MADE_UP // 10:
        wrong.append(f"no attack: of {_MADE_UP} containers {waiting} waited to be asked for")
    if "pod" not in reported[0]:
        wrong.append(f"a container is not named after {_MADE_UP} that are made up")
    return wrong


@contextmanager
def _slow_runtime(path: Path) -> Iterator[list[bytes]]:
    """A Docker that knows one container and takes a while for each answer; yields the questions."""
    asked: list[bytes] = []
    body = json.dumps({"Id": _ID, "Name": "/known", "Config": {"Image": "image"}}).encode()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        asked.append(connection.recv(4096))
                        time.sleep(_ANSWER)
                        is_known = _ID.encode() in asked[-1]
                        connection.sendall(
                            b"HTTP/1.0 %d x\r\n\r\n" % (200 if is_known else 404) + body
                        )

        thread = threading.Thread(target=serve)
        thread.start()
        yield asked
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def redaction(setting: Setting) -> list[str]:
    """A secret at any place of a long text that costs is never shown, and no exec is missing."""
    chance = random.Random(16)  # noqa: S311 - the same texts each time
    costly = [
        "-p x " * 26_000,
        "--password " * 11_000,
        "-" * 130_000,
        "://" * 43_000,
        "-p= " * 32_000,
    ]
    secret = "hunter2"  # noqa: S105
    rule = r'{"redact": ["(?:--password|-p)[= ]*([^ ]+)", "://[^:/@ ]+:([^@ ]+)@"]}'
    with setting.agent(f"--redaction-filters={rule}") as agent:
        pids = []
        for turn in range(20):
            text = costly[turn % len(costly)]
            at = chance.randrange(len(text))
            shown = f"{text[:at]} --password={secret} {text[at:]}"[:131_000]
            pids.append(setting.run(text, shown))
        fence(agent, setting)
        reported = [one["pid"] for one in execs(agent.export)]
        shows = sum(secret.encode() in line for line in all_lines(agent.export))
        wrong = ended(agent)
    missing = [pid for pid in pids if pid not in reported]
    wrong += [f"{len(missing)} of {len(pids)} execs are missing"] if missing else []
    return [*wrong, *([f"{shows} lines show the secret"] if shows else [])]


def shadowed(setting: Setting) -> list[str]:
    """Modules of the host and of the user that bear the names of those that the file carries."""
    home = setting.directory / "home"
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    of_user, of_path = home / f".local/lib/{version}/site-packages", home / "path"
    for directory in (of_user, of_path):
        directory.mkdir(parents=True)
        for name in _SHADOWED:
            (directory / f"{name}.py").write_text(
                "raise ImportError('not the one that is meant')\n"
            )
        (directory / "x.pth").write_text(f"import sys; sys.path.insert(0, {str(of_path)!r})\n")
    environment = {
        "HOME": str(home),
        "PYTHONPATH": str(of_path),
        "PYTHONUSERBASE": str(home / ".local"),
        "PYTHONOPTIMIZE": "2",
        "PYTHONIOENCODING": "ascii",
        "PYTHONWARNINGS": "error",
    }
    wrong = []
    port = free_port()
    cel = '{"cel_expression": ["process_exec.process.uid == uint(99)"]}'
    flags = (f"--metrics-server=127.0.0.1:{port}", f"--export-denylist={cel}")
    for sensor in ("ebpf", "connector"):
        try:
            with setting.agent(*flags, f"--sensor={sensor}", environment=environment) as agent:
                if b"tetragon_events_total" not in scrape(port):
                    wrong.append(f"{sensor}: no metrics")
                wrong += [f"{sensor}: {line}" for line in ended(agent)]
        except BuildError as err:
            wrong.append(f"{sensor}: {err}"[:300])
    return wrong
