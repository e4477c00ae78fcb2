# SPDX-License-Identifier: Apache-2.0
"""What is built, and what tetrapy.pyz holds beside the agent's own sources: names and places, and
no code.
"""

from __future__ import annotations

PYZ = "tetrapy.pyz"

# Names of the architectures as Tetragon's releases, dpkg and rpm have them.
ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}

# Each is an interpreter with tetrapy.pyz behind it (tools/interpreter).
EXECUTABLES = {arch: f"tetrapy-linux-{arch}" for arch in ARCHITECTURES}

# What the kernel runs, before the zip: a shell, which hands over to Python. A first line with env
# has no room for an option (`env -S` is younger than some hosts), one with Python has to name
# its directory; without the option Python is started twice (agent/__main__.py).
LAUNCHER = """#!/bin/sh
exec python3 -IS "$0" "$@\""""

# Where tetrapy.kernel.bundle looks for the bundle.
BUNDLE = "tetrapy/kernel/data"

# The licence texts of everything inside (tools/sbom/texts.py).
LICENCES = "LICENSES.txt"

# Packages of which Python sources are taken, by the names of the lock (tools/lock/wheels.toml).
PURE_PACKAGES = (
    "cel_python",
    "h2",
    "hpack",
    "hyperframe",
    "importlib_resources",
    "lark",
    "python_dateutil",
    "pyroute2",
    "pyyaml",
    "six",
    "zipp",
)

# Packages of which the extension module alone is taken, for each CPython and machine of the lock;
# agent/tetrapy/kernel/extensions.py finds it.
NATIVE_PACKAGES = ("orjson",)

# Packages of which these files alone are taken: what importing the one part that is used brings
# (agent/tetrapy/kernel/pyroute2.py). The whole would be a sixth of tetrapy.pyz.
TAKEN = {
    "pyroute2": (
        "pyroute2/__init__.py",
        "pyroute2/common.py",
        "pyroute2/config/__init__.py",
        "pyroute2/netlink/__init__.py",
        "pyroute2/netlink/connector/__init__.py",
        "pyroute2/netlink/connector/cn_proc.py",
        "pyroute2/netlink/exceptions.py",
        "pyroute2/netlink/nlsocket.py",
    ),
}

# Parts that importing the others does not reach on Linux: tests, other systems, what
# needs a library in C, command lines, time zones of their own.
LEFT_OUT = (
    "_yaml/",
    "celpy/__main__.py",
    "celpy/c7nlib.py",
    "dateutil/easter.py",
    "dateutil/rrule.py",
    "dateutil/tz/win.py",
    "dateutil/tzwin.py",
    "dateutil/zoneinfo/",
    "importlib_resources/tests/",
    "lark/__pyinstaller/",
    "lark/ast_utils.py",
    "lark/grammars/",
    "lark/reconstruct.py",
    "lark/tools/",
    "lark/tree_matcher.py",
    "yaml/cyaml.py",
)
