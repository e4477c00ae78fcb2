# SPDX-License-Identifier: Apache-2.0
"""agent/tetrapy/policy/syscall_numbers.py: names and numbers of system calls.

They come out of the kernel's own headers (asm/unistd*.h of the user space API), as the pinned
compiler's wheel carries them. Only names and numbers are taken.
"""

from __future__ import annotations

import re
import textwrap
import zipfile

from tools import zig

PATH = "agent/tetrapy/policy/syscall_numbers.py"
# In the order of the columns. arm64 is 64 bit of the generic table.
HEADERS = {
    "x64": ["x86-linux-any/asm/unistd_64.h"],
    "i386": ["x86-linux-any/asm/unistd_32.h"],
    "arm64": ["aarch64-linux-any/asm/unistd_64.h"],
    "arm32": ["arm-linux-any/asm/unistd-eabi.h", "arm-linux-any/asm/unistd.h"],
}
_DEFINED = re.compile(
    r"^#define __NR_([a-z_]\w*)\s+(?:\(__NR_SYSCALL_BASE \+ )?(\d+)\)?\s*$", re.MULTILINE
)
_SAME = re.compile(r"^#define __NR_(\w+)\s+__NR_(\w+)\s*$", re.MULTILINE)
_WIDTH = 98
HEAD = '''\
# SPDX-License-Identifier: Apache-2.0
"""Numbers of system calls, by ABI.

Written by `python3 -m tools.policy_docs` from the kernel's headers; do not edit.
"""

ABIS = ({abis})
"""The columns of TABLE."""

TABLE = """
{rows}
"""
"""Name and numbers of each call, one after the other; - where the ABI has no such call."""
'''


def numbers() -> dict[str, dict[str, int]]:
    """ABI -> name -> number."""
    tables = {}
    with zipfile.ZipFile(zig.wheel().path()) as wheel:
        for abi, headers in HEADERS.items():
            read = (wheel.read(f"ziglang/lib/libc/include/{header}") for header in headers)
            text = b"".join(read).decode()
            table = {name: int(number) for name, number in _DEFINED.findall(text)}
            aliases = _SAME.findall(text)
            table.update((name, table[other]) for name, other in aliases if other in table)
            tables[abi] = table
    return tables


def source() -> str:
    """The content of the module."""
    tables = numbers()
    names = sorted({name for table in tables.values() for name in table})
    cells = [
        " ".join([name, *(str(table.get(name, "-")) for table in tables.values())])
        for name in names
    ]
    # A call is not broken over two lines.
    glued = " ".join(cell.replace(" ", "\0") for cell in cells)
    rows = textwrap.fill(glued, _WIDTH, break_long_words=False, break_on_hyphens=False)
    abis = ", ".join(f'"{abi}"' for abi in tables)
    return HEAD.format(abis=abis, rows=rows.replace("\0", " "))
