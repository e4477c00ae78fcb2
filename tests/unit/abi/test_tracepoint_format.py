# SPDX-License-Identifier: Apache-2.0
"""Format files of tracepoints."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrapy.abi.tracepoint_format import Field, parse_format
from tetrapy.errors import FormatError

TEXT = """\
name: sched_process_exec
ID: 294
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:__data_loc char[] filename;\toffset:8;\tsize:4;\tsigned:0;
\tfield:const char * name;\toffset:16;\tsize:8;\tsigned:0;
\tfield:unsigned long args[6];\toffset:24;\tsize:48;\tsigned:0;
\tfield:char comm[16];\toffset:72;\tsize:16;\tsigned:0;

print fmt: "field:int x; %s", __get_str(filename)
\tfield:int no_field;\toffset:4;\tsize:4;\tsigned:1;
"""


def test_the_fields_of_a_tracepoint() -> None:
    """Their types in C, the common ones first; what is printed is none of them."""
    found = parse_format(TEXT)
    assert found.id == 294
    assert found.fields == (
        Field("common_type", "unsigned short", 0, 2, False),
        Field("common_pid", "int", 4, 4, True),
        Field("filename", "__data_loc char[]", 8, 4, False),
        Field("name", "const char *", 16, 8, False),
        Field("args", "unsigned long[6]", 24, 48, False),
        Field("comm", "char[16]", 72, 16, False),
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ID: x\n",
        "ID: 1\n\tfield:int x;\toffset:y;\tsize:4;\tsigned:0;\n",
        "ID: 1\n\tfield:int x;\toffset:99999;\tsize:4;\tsigned:0;\n",
        "ID: 1\n\tfield:;\toffset:0;\tsize:4;\tsigned:0;\n",
        "ID: 1\n" + "\tfield:int x;\toffset:0;\tsize:4;\tsigned:0;\n" * 1025,
    ],
)
def test_what_is_no_format(text: str) -> None:
    """It is refused."""
    with pytest.raises(FormatError):
        parse_format(text)


@pytest.mark.slow
@given(st.one_of(st.text(), st.lists(st.sampled_from(TEXT.splitlines())).map("\n".join)))
def test_any_text(text: str) -> None:
    """It gives fields within a record, or FormatError."""
    try:
        found = parse_format(text)
    except FormatError:
        return
    assert all(field.offset + field.size <= 1 << 16 for field in found.fields)
