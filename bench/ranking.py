# SPDX-License-Identifier: Apache-2.0
"""What runs in the deterministic guest for --profile: the agent under cProfile, ranked.

cProfile makes every call dearer, so its numbers rank and do not measure. One run covers the start
alone, the other a load too.
"""

from __future__ import annotations

import cProfile
import io
import os
import pstats
import runpy
import signal
import subprocess
import sys
import time

PYZ = "/test/tetrapy.pyz"
LOAD = ["/test/load", "1000", "1", "/test/nothing", "profile"]
START = 5.0  # guest seconds, after which the agent listens
TOP = 40


def visit(command: list[str]) -> None:
    """A process that lets the agent (its parent) start, runs a command, and ends the agent."""
    agent = os.getpid()
    if os.fork() == 0:
        time.sleep(START)
        subprocess.run(command, check=False)
        time.sleep(1)
        os.kill(agent, signal.SIGTERM)
        os._exit(0)


def profiled(title: str, command: list[str]) -> None:
    """Run the agent in a process of its own and print what its functions took."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    visit(command)
    sys.argv = [PYZ, "--export-filename", os.devnull, "--log-level", "error"]
    profiler = cProfile.Profile(time.process_time)
    try:
        profiler.runcall(runpy.run_path, PYZ, run_name="__main__")
    except SystemExit:
        pass
    finally:
        text = io.StringIO()
        pstats.Stats(profiler, stream=text).sort_stats("tottime").print_stats(TOP)
        print(f"=== {title}\n{text.getvalue()}", flush=True)
        os._exit(0)


def main() -> None:
    """The profiles of two runs, and what each import takes."""
    profiled("start and stop", ["/bin/true"])
    profiled(f"the same, and a load of {LOAD[1]} processes between", LOAD)
    print("=== imports", flush=True)
    subprocess.run(["python3", "-X", "importtime", PYZ, "--version"], stderr=1, check=False)


if __name__ == "__main__":
    if not os.path.exists(PYZ):
        sys.exit("bench.ranking runs inside the guest of python3 -m bench.guest --profile")
    main()
