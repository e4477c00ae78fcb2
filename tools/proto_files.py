# SPDX-License-Identifier: Apache-2.0
"""Write proto/ from the messages and services of the API (tetrapy.api.proto_files).

python3 -m tools.proto_files
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tools.fetch import ROOT

# The agent's sources are not installed.
sys.path.insert(0, str(ROOT / "agent"))

from tetrapy.api import messages, proto_files
from tetrapy.api.codec import map_types
from tetrapy.api.rows import OPTIONAL
from tetrapy.api.services import BOTH, STREAM
from tetrapy.events.schema.field import ONE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tetrapy.api.proto_files import ProtoFile
    from tetrapy.events.schema.field import Field

_HEAD = """\
// SPDX-License-Identifier: Apache-2.0
// Written by `python3 -m tools.proto_files` from tetrapy's own description of Tetragon's API;
// do not edit.

syntax = "proto3";
"""


def files() -> dict[str, str]:
    """Path below the repository -> content."""
    own = [one for one in proto_files.FILES if not one.package.startswith("google.")]
    return {f"proto/{one.name}": source(one) for one in own}


def source(file: ProtoFile) -> str:
    """The .proto file."""
    blocks = [_HEAD, f"package {file.package};\n"]
    needed = proto_files.imports(file)
    if needed:
        blocks.append("".join(f'import "{name}";\n' for name in needed))
    blocks += [_enum(name, values) for name, values in file.enums.items() if "." not in name]
    blocks += [_message(name, file) for name in file.messages if "." not in name]
    blocks += [_service(name, file) for name in file.services]
    return "\n".join(blocks)


def _enum(name: str, values: Mapping[str, int], indent: str = "") -> str:
    rows = "".join(f"{indent}  {key} = {number};\n" for key, number in values.items())
    return f"{indent}enum {name.rpartition('.')[2]} {{\n{rows}{indent}}}\n"


def _message(name: str, file: ProtoFile, indent: str = "") -> str:
    inner = indent + "  "
    rows = file.messages[name]
    inside = f"{name}."
    lines = [_message(one, file, inner) for one in file.messages if one.startswith(inside)]
    lines += [_enum(one, file.enums[one], inner) for one in file.enums if one.startswith(inside)]
    group = [row for row in rows if row.presence == ONE]
    for row in rows:
        if row.presence == ONE:
            if row is group[0]:
                members = "".join(_field(one, inner + "  ", file) for one in group)
                lines.append(f"{inner}oneof {proto_files.ONEOFS[name]} {{\n{members}{inner}}}\n")
        else:
            lines.append(_field(row, inner, file))
    short = name.rpartition(".")[2]
    if not lines:
        return f"{indent}message {short} {{}}\n"
    return f"{indent}message {short} {{\n{''.join(lines)}{indent}}}\n"


def _field(row: Field, indent: str, file: ProtoFile) -> str:
    kind = row.element
    if kind in messages.GOOGLE:
        kind = f"google.protobuf.{kind}"
    if row.type.startswith("map"):
        kind = "map<{}, {}>".format(*map_types(row))
    before = "repeated " if row.is_repeated else "optional " if row.presence == OPTIONAL else ""
    help_ = f"{indent}// {row.help}\n" if row.help else ""
    return f"{help_}{indent}{before}{kind} {row.name} = {row.number};\n"


def _service(name: str, file: ProtoFile) -> str:
    rows = []
    for method in proto_files.methods_of(file):
        request = f"stream {method.request}" if method.kind == BOTH else method.request
        streams = method.kind in {STREAM, BOTH}
        response = f"stream {method.response}" if streams else method.response
        rows.append(f"  rpc {method.name}({request}) returns ({response});\n")
    return f"service {name} {{\n{''.join(rows)}}}\n"


def main() -> None:
    """Write all of them."""
    for path, text in files().items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text)
        print(path)


if __name__ == "__main__":
    main()
