# SPDX-License-Identifier: Apache-2.0
"""`tetrapy btf pack`, `merge` and `harvest`: making archives of many kernels."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.support import btf_kernels
from tests.support.btf_kernels import ARM, ONE, THREE, TWO, answers, archive, btf, queries, tree
from tests.support.builders import EXIT, BtfBuilder, Symbol, elf
from tests.unit.abi.test_core_relocs import extension
from tetrapy.abi import core_relocs
from tetrapy.abi import kinds as k
from tetrapy.btf.archive import Archive
from tetrapy.btf.pack import pack
from tetrapy.cli.btf.output import ProgressBar

pytestmark = pytest.mark.slow

btf_command = btf_kernels.btf_command

KERNELS = {ONE: 0, TWO: 0, THREE: 1, ARM: 2}


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """A tree of four kernels in the forms that are read."""
    tree(tmp_path / "btfs", {key: btf(number) for key, number in list(KERNELS.items())[:3]})
    return tree(tmp_path / "btfs", {ARM: btf(2)}, ".btf.xz")


def test_pack(btf_command, full: Path, tmp_path: Path) -> None:
    """The archive has the answers of all kernels; layouts that are equal are one."""
    output = tmp_path / "archive.xz"
    done = btf_command("pack", full, "--output", output, "--jobs", 2)
    assert done.code == 0
    found = Archive(output.read_bytes())
    assert {key: found.layouts[number] for key, number in found.kernels.items()} == {
        key: answers(number) for key, number in KERNELS.items()
    }
    assert len(found.layouts) == 3
    assert f": 4 kernels, 3 layouts, {output.stat().st_size:,} bytes, " in done.lines[0]
    assert re.search(r"4 BTFs in [\d.]+ s, 2 processes: [\d.]+ kernels per second", done.lines[1])


def test_shards_make_the_same(btf_command, full: Path, tmp_path: Path) -> None:
    """However many shards there are, also empty ones, merging gives the same bytes as one run."""
    whole, merged = tmp_path / "whole.xz", tmp_path / "merged.xz"
    tree(full, {"other/lab/kernel": btf(5)})
    assert btf_command("pack", full, "--output", whole).code == 0
    for count in (1, 2, 7):
        parts = [tmp_path / f"{count}-{number}.xz" for number in range(count)]
        for number, part in enumerate(parts):
            words = ["--shard", f"{number}/{count}", "--output", part]
            assert btf_command("pack", full, *words).code == 0
        assert btf_command("merge", *reversed(parts), "--output", merged).code == 0
        assert merged.read_bytes() == whole.read_bytes()


def test_a_witness_answers_but_is_not_packed(btf_command, tmp_path: Path) -> None:
    """A BTF without a kernel's place counts for the check, also through shards."""
    full = tree(tmp_path / "btfs", {ONE: btf(0, "loginuid"), "other/x y": btf()})
    output, part = tmp_path / "archive.xz", tmp_path / "part.xz"
    done = btf_command("pack", full, "--output", output)
    assert done.code == 0
    assert list(Archive(output.read_bytes()).kernels) == [ONE]
    assert "1 BTF elsewhere" in done.out
    assert btf_command("pack", full, "--shard", "0/1", "--output", part).code == 0
    again = tmp_path / "again.xz"
    assert btf_command("merge", part, "--output", again).code == 0
    assert again.read_bytes() == output.read_bytes()


def test_a_need_without_an_answer(btf_command, tmp_path: Path) -> None:
    """A query that no kernel of an architecture answers is named, and nothing is written."""
    full = tree(tmp_path / "btfs", {ONE: btf(), ARM: btf(0, "mm_struct")})
    output = tmp_path / "archive.xz"
    done = btf_command("pack", full, "--output", output)
    assert done.code == 1
    assert "  arm64: offset struct mm_struct.arg_end int" in done.err.splitlines()
    assert "x86_64:" not in done.err
    assert not output.exists()
    assert btf_command("pack", full, "--output", output, "--partial").code == 0
    done = btf_command("merge", output, "--output", tmp_path / "merged.xz")
    assert done.code == 1
    assert "  arm64: offset struct mm_struct.arg_end int" in done.err.splitlines()


def test_damaged_kernels_are_left_out(btf_command, full: Path, tmp_path: Path) -> None:
    """A damaged BTF is named, the others are packed, and the exit code is 1."""
    tree(full, {"debian/12/x86_64/6.6.6": b"damaged", "debian/12/x86_64/6.6.7": btf()[:99]})
    (full / "debian/12/x86_64/6.6.8.btf").symlink_to("nowhere")
    os.mkfifo(full / "debian/12/x86_64/6.6.9.btf")
    output = tmp_path / "archive.xz"
    done = btf_command("pack", full, "--output", output)
    assert done.code == 1
    assert [f"6.6.{number}.btf: " in done.err for number in (6, 7, 8)] == [True] * 3
    assert len(Archive(output.read_bytes()).kernels) == 4


def test_what_is_passed_over(btf_command, full: Path, tmp_path: Path) -> None:
    """Hidden files and other files of a tree are not looked at."""
    for name in (".git/debian/12/x86_64/x.btf", "debian/12/x86_64/.new-x.btf", "README.md"):
        (full / name).parent.mkdir(parents=True, exist_ok=True)
        (full / name).write_text("nothing")
    assert btf_command("pack", full, "--output", tmp_path / "archive.xz").code == 0


@pytest.mark.parametrize(
    "text", ["", "1", "a/b", "1/1", "-1/2", "2/1", "0/0", "1/2/3", "0/9999999"]
)
def test_impossible_shards(btf_command, full: Path, tmp_path: Path, text: str) -> None:
    """A shard that is none is wrong use; an empty flag counts for nothing."""
    output = tmp_path / "archive.xz"
    done = btf_command("pack", full, "--output", output, f"--shard={text}")
    assert done.code == (1 if text else 0)
    assert output.exists() == (not text)


def test_an_empty_directory(btf_command, tmp_path: Path) -> None:
    """A directory without BTFs is reported, with the form that is expected."""
    done = btf_command("pack", tmp_path, "--output", tmp_path / "archive.xz")
    assert done.code == 1
    assert "ID/VERSION_ID/arch/<uname -r>.btf" in done.err
    assert btf_command("pack", tmp_path / "none", "--output", tmp_path / "x").code == 1


def test_a_kernel_that_is_there_twice(btf_command, full: Path, tmp_path: Path) -> None:
    """Two files for one kernel are an error that names both."""
    tree(full, {ONE: btf()}, ".btf.xz")
    done = btf_command("pack", full, "--output", tmp_path / "archive.xz")
    assert done.code == 1
    assert f"{full / ONE}.btf " in done.err
    assert f"{full / ONE}.btf.xz" in done.err


def test_output_that_cannot_be_written(btf_command, full: Path, tmp_path: Path) -> None:
    """An output in no directory, or that is a directory, is reported; an earlier file is kept."""
    assert btf_command("pack", full, "--output", tmp_path / "none/archive.xz").code == 1
    assert btf_command("pack", full, "--output", tmp_path).code == 1
    assert btf_command("pack", full, "--output", "/dev/full").code == 255
    assert [path.name for path in tmp_path.iterdir()] == ["btfs"]


def test_other_objects(btf_command, tmp_path: Path, full: Path) -> None:
    """--objects takes objects of another release; a directory without any is reported."""
    (tmp_path / "objects").mkdir()
    words = ["pack", full, "--output", tmp_path / "archive.xz", "--objects", tmp_path / "objects"]
    done = btf_command(*words)
    assert done.code == 1
    assert "*.bpf.o" in done.err
    (tmp_path / "objects/x.bpf.o").write_bytes(b"no object")
    assert btf_command(*words).code == 1
    for name, data in zip("xyz0", btf_kernels.objects(), strict=True):
        (tmp_path / f"objects/{name}.bpf.o").write_bytes(data)
    assert btf_command(*words).code == 0


def test_merge_refuses_contradictions(btf_command, tmp_path: Path) -> None:
    """A kernel with different answers in two parts is an error that names both."""
    one = archive({ONE: answers()}, tmp_path / "one.xz")
    two = archive({ONE: answers(1)}, tmp_path / "two.xz")
    done = btf_command("merge", one, two, "--output", tmp_path / "archive.xz")
    assert done.code == 1
    assert ONE in done.err
    assert str(one) in done.err
    assert str(two) in done.err


def test_merge_refuses_other_needs(btf_command, tmp_path: Path) -> None:
    """Parts that were made for different objects are not merged."""
    one, two = archive({ONE: answers()}, tmp_path / "one.xz"), tmp_path / "two.xz"
    two.write_bytes(pack({TWO: answers()[1:]}, queries().names[1:]))
    done = btf_command("merge", one, two, "--output", tmp_path / "archive.xz")
    assert done.code == 1
    assert "different BPF objects" in done.err


def test_merge_of_nothing(btf_command, tmp_path: Path) -> None:
    """Parts without kernels, files that are no archives, and missing parts are refused."""
    empty = archive({}, tmp_path / "empty.xz")
    (tmp_path / "bad.xz").write_bytes(b"bad")
    for name in (empty, tmp_path / "bad.xz", tmp_path / "none.xz"):
        done = btf_command("merge", name, "--output", tmp_path / "archive.xz")
        assert done.code == 1
        assert not (tmp_path / "archive.xz").exists()


def test_harvest(btf_command, tmp_path: Path) -> None:
    """BTFs of inputs get their place; a damaged one is named; the table counts."""
    inputs = tmp_path / "inputs"
    tree(inputs, {ONE: btf(), TWO: b"damaged"})
    done = btf_command("harvest", inputs, "--output", tmp_path / "out", "--jobs", 1)
    assert done.code == 1
    assert (tmp_path / "out" / f"{ONE}.btf").read_bytes() == btf()
    assert [line.split() for line in done.lines[1:2]] == [
        ["debian/12/x86_64", "1", "0", f"{len(btf()):,}"]
    ]
    assert "6.1.0-2-amd64.btf" in done.err
    done = btf_command("harvest", inputs / f"{ONE}.btf", "--output", tmp_path / "out")
    assert done.code == 0
    assert done.lines[1].split() == ["debian/12/x86_64", "0", "1", "0"]


class Terminal:
    """A stream that may be a terminal."""

    def __init__(self, *, is_terminal: bool) -> None:
        self.text = ""
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


def test_progress_without_a_terminal() -> None:
    """Each tenth has a line, in whatever steps the work goes."""
    stream = Terminal(is_terminal=False)
    bar = ProgressBar("kernel", stream)
    for done in range(1, 237):
        bar.show(done, 237)
    bar.show(237, 237)
    bar.close()
    assert len(stream.text.splitlines()) == 10
    assert stream.text.splitlines()[-1] == "237 of 237 kernels, 100 %"


def test_progress_on_a_terminal() -> None:
    """A bar is drawn over itself and wiped out at the end; names cannot move the cursor."""
    stream = Terminal(is_terminal=True)
    bar = ProgressBar("kernel", stream)
    bar.show(1, 3, "\x1b[2Jkernel\n" + "x" * 200)
    bar.show(3, 3, "last")
    bar.close()
    assert "\n" not in stream.text
    assert "\x1b" not in stream.text
    assert "3/3" in stream.text
    assert stream.text.endswith("\r")
    assert max(map(len, stream.text.split("\r"))) < 80


def test_an_object_that_cannot_be_archived(btf_command, full: Path, tmp_path: Path) -> None:
    """An object that asks for a type's id, which is one kernel's own, stops the packing."""
    builder = BtfBuilder()
    struct = builder.composite("task_struct", 4, [("pid", builder.integer("int", 4), 0)])
    target = core_relocs.KINDS.index("type_id_target")
    sections = {
        "prog": EXIT,
        ".BTF.ext": extension(builder, [(0, struct, "0", target)]),
        ".BTF": builder.build(),
    }
    directory = tmp_path / "objects"
    directory.mkdir()
    (directory / "x.bpf.o").write_bytes(elf(sections, [Symbol("f", "prog", 0, 8)]))
    output = tmp_path / "archive.xz"
    done = btf_command("pack", full, "--output", output, "--objects", directory)
    assert done.code == 1
    assert "type_id_target of struct task_struct" in done.err
    assert not output.exists()


OLD = "real_start_time"
KINDS = ("field_exists", "field_byte_offset")


def test_what_only_old_kernels_have(btf_command, tmp_path: Path) -> None:
    """New kernels alone can be packed: what programs do without is named, and is no error."""
    full = tree(tmp_path / "btfs", {ONE: btf(0, OLD), ARM: btf(1, OLD)})
    output, part = tmp_path / "archive.xz", tmp_path / "part.xz"
    done = btf_command("pack", full, "--output", output)
    assert done.code == 0
    assert done.err.count(OLD) == 2
    assert btf_command("pack", full, "--shard", "0/1", "--output", part).code == 0
    assert btf_command("merge", part, "--output", tmp_path / "merged.xz").code == 0
    assert (tmp_path / "merged.xz").read_bytes() == output.read_bytes()


def test_objects_in_development_are_held_against_all(btf_command, tmp_path: Path) -> None:
    """Of other objects' needs each must have an answer, whatever they say to do without."""
    full = tree(tmp_path / "btfs", {ONE: btf()})
    builder = BtfBuilder()
    # The kernel's is an int: what asks for a pointer finds nothing, and libbpf is silent.
    integer = builder.integer("int", 4)
    struct = builder.composite("task_struct", 8, [("pid", builder.add(k.KIND_PTR, "", integer), 0)])
    places = [
        (8 * at, struct, "0:0", core_relocs.KINDS.index(kind)) for at, kind in enumerate(KINDS)
    ]
    sections = {
        "prog": EXIT * len(places),
        ".BTF.ext": extension(builder, places),
        ".BTF": builder.build(),
    }
    (tmp_path / "objects").mkdir()
    data = elf(sections, [Symbol("f", "prog", 0, 8 * len(places))])
    (tmp_path / "objects/own.bpf.o").write_bytes(data)
    words = ["--output", tmp_path / "archive.xz", "--objects", tmp_path / "objects"]
    done = btf_command("pack", full, *words)
    assert done.code == 1
    assert "x86_64: offset struct task_struct.pid pointer" in done.err
    assert not (tmp_path / "archive.xz").exists()


def test_a_harvest_of_nothing(btf_command, tmp_path: Path) -> None:
    """A directory without anything to harvest is named; nobody takes that for success."""
    (tmp_path / "empty").mkdir()
    done = btf_command("harvest", tmp_path / "empty", "--output", tmp_path / "out")
    assert done.code == 1
    assert f"is in {tmp_path}/empty" in done.err
