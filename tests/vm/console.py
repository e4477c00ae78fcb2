# SPDX-License-Identifier: Apache-2.0
"""Runs in a guest: two users flood it, and another one logs in by a console; as JSON.

console.py LOG      waits until the agent's log says that a policy is throttled
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from typing import Any

PASSWORD = "let me in"
FLOODERS, OPERATOR = (1234, 1235), 1001  # uids
BUSYBOX = "/bin/busybox"
PATIENCE = 120  # seconds, for what takes one


def flooder(uid: int) -> int:
    """The pid of a process of this user that does nothing but system calls."""
    pid = os.fork()
    if not pid:
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        while True:
            os.getppid()
    return pid


def add_user() -> None:
    """Write the files that login(1) reads."""
    hashed = [BUSYBOX, "mkpasswd", PASSWORD]
    password = subprocess.run(hashed, capture_output=True, check=True, text=True).stdout.strip()
    home = f"{OPERATOR}:{OPERATOR}::/tmp:/bin/sh\n"
    for path, text in (
        ("/etc/passwd", f"root:*:0:0::/root:/bin/sh\noperator:{password}:{home}"),
        ("/etc/group", f"root:x:0:\noperator:x:{OPERATOR}:\n"),
    ):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    if not os.path.exists("/bin/login"):
        os.symlink(BUSYBOX, "/bin/login")


class Console:
    """A terminal with a getty on it, as seen by who sits there."""

    def __init__(self) -> None:
        # It stays open, lest the terminal hangs up before getty has opened it.
        self._fd, self._terminal = os.openpty()
        self.shown = ""
        name = os.ttyname(self._terminal).removeprefix("/dev/")
        words = [BUSYBOX, "getty", "-L", "0", name, "vt100"]
        self._getty = subprocess.Popen(words, start_new_session=True)

    def until(self, text: str, answer: str) -> bool:
        """Whether the text is shown, once more; then the answer is typed."""
        start, end = len(self.shown), time.monotonic() + PATIENCE
        while text not in self.shown[start:]:
            ready, _, _ = select.select([self._fd], [], [], max(0, end - time.monotonic()))
            if not ready:
                return False
            self.shown += os.read(self._fd, 4096).decode(errors="replace")
        os.write(self._fd, f"{answer}\n".encode())
        return True

    def logged_in(self) -> bool:
        """Whether a user can log in, have a command run and log out."""
        dialogue = (
            ("login: ", "operator"),
            ("assword: ", PASSWORD),
            ("$ ", "echo $((6 * 7)) by $(id -u)"),
            (f"42 by {OPERATOR}", "exit"),
        )
        return all(self.until(text, answer) for text, answer in dialogue)

    def has_ended(self) -> bool:
        """Whether the session is over."""
        try:
            return self._getty.wait(PATIENCE) == 0
        except subprocess.TimeoutExpired:
            return False


def says(path: str, text: str) -> bool:
    """Whether a file has it within the time."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with open(path, encoding="utf-8") as file:
            if text in file.read():
                return True
        time.sleep(0.1)
    return False


def main() -> None:
    """The flood goes on until the user has logged out."""
    (log,) = sys.argv[1:]
    add_user()
    pids = [flooder(uid) for uid in FLOODERS]
    throttled = says(log, "A policy is throttled")
    console = Console()
    answer: dict[str, Any] = {"throttled": throttled, "logged_in": console.logged_in()}
    answer.update(ended=console.has_ended(), shown=console.shown)
    client = [sys.executable, "/test/tetrapy.pyz", "tracingpolicy", "list", "-o", "json"]
    answer["listed"] = json.loads(subprocess.run(client, capture_output=True, check=True).stdout)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
