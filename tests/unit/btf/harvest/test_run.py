# SPDX-License-Identifier: Apache-2.0
"""A harvest as a whole: inputs, what is kept, who goes first, what is reported."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import harvest_builders as b
from tests.support.builders import BtfBuilder
from tests.support.harvest_builders import collect, hub, only, written
from tetrapy.btf.harvest import Options, Progress, harvest, pool
from tetrapy.btf.harvest.journal import NAME, Journal
from tetrapy.btf.harvest.result import ALREADY_THERE, DAMAGED, DONE, SKIPPED, Result
from tetrapy.errors import HarvestError, SettingsError

PATH = f"boot/vmlinuz-{b.RELEASE}"


def states(result: Result) -> dict[str, str]:
    return {os.path.basename(outcome.name): outcome.state for outcome in result.outcomes}


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A directory with all sorts of files in it."""
    directory = tmp_path / "in"
    (directory / "boot").mkdir(parents=True)
    (directory / ".git").mkdir()
    files = {
        "one.deb": b.deb({PATH: b.vmlinuz()}),
        "tools.deb": b.deb({"bin/true": b"x"}, Package="tools"),
        "cut.rpm": b.rpm({PATH: b.vmlinuz()})[:300],
        "boot/vmlinuz-arm": b.arm64_image(),
        "boot/nameless": b.vmlinuz("gzip", b.vmlinux({})),
        "boot/initrd.img": b.COMPRESSORS["gzip"](b"x"),
        ".git/vmlinuz": b"x",
        "README": b"text",
        "prog": b.vmlinux({}),
        "empty.btf": b"",
    }
    for name, data in files.items():
        (directory / name).write_bytes(data)
    hub(directory, "ubuntu/18.04/x86_64/5.4.0-1-generic", b.kernel_btf())
    return directory


def test_a_directory_is_searched(tmp_path: Path, mixed: Path) -> None:
    """Kernels are found by name or first bytes; what is none of it is left alone, or told."""
    result = collect(tmp_path, mixed, jobs=2)
    assert states(result) == {
        "one.deb": DONE,
        "tools.deb": SKIPPED,
        "cut.rpm": DAMAGED,
        "vmlinuz-arm": DONE,
        "nameless": DAMAGED,
        "empty.btf": DAMAGED,
        "5.4.0-1-generic.btf": DONE,
    }
    assert not result.complete
    assert str(result) == "3 done, 1 passed, 3 damaged"
    assert sorted(written(tmp_path)) == [
        f"debian/12/arm64/{b.ARM_RELEASE}.btf",
        f"{b.KEY}.btf",
        "ubuntu/18.04/x86_64/5.4.0-1-generic.btf",
    ]


def test_the_output_may_lie_in_the_input(tmp_path: Path, mixed: Path) -> None:
    """What a harvest wrote is no input of the next one."""
    for _ in range(2):
        result = harvest([str(mixed)], str(mixed / "out"), Options(), b.UNPACKERS, b.no_progress)
        assert len(result.outcomes) == 7


def test_a_list_names_inputs(tmp_path: Path, mixed: Path) -> None:
    """@FILE and FILE.list: one input a line, relative to the list, each input once."""
    listing = mixed / "all.list"
    listing.write_text(f"# kernels\n\none.deb\n  {mixed}/boot/vmlinuz-arm\none.deb\nboot\nnone\n")
    expected = {"one.deb": DONE, "vmlinuz-arm": DONE, "nameless": DAMAGED, "none": DAMAGED}
    assert states(collect(tmp_path, listing)) == expected
    listing.rename(mixed / "inputs")
    result = collect(tmp_path, f"@{mixed}/inputs", force=True)
    assert states(result) == expected
    assert result.outcomes[-1].error == "no such file or directory"


def test_a_list_that_cannot_be_read_ends_it(tmp_path: Path) -> None:
    """Without its list nothing is done: that is no damaged input."""
    with pytest.raises(HarvestError, match="cannot be read: no such file"):
        collect(tmp_path, f"@{tmp_path}/none")
    (tmp_path / "a.txt").write_bytes(bytes(9))
    with pytest.raises(HarvestError, match="is no text"):
        collect(tmp_path, tmp_path / "a.txt")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A pipe or a device is not waited for, however it is named."""
    os.mkfifo(tmp_path / "a.deb")
    for name in (tmp_path / "a.deb", "/dev/zero"):
        assert only(collect(tmp_path, name)).error == "is no regular file"


def test_a_name_with_a_newline_is_a_name(tmp_path: Path) -> None:
    """A damaged package is named in a directory too, whatever its name has in it."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a\n\x1b[1m.deb").write_bytes(b"junk")
    outcome = only(collect(tmp_path, tmp_path / "in"))
    assert (outcome.state, outcome.name) == (DAMAGED, f"{tmp_path}/in/a\n\x1b[1m.deb")


def test_an_unchanged_input_is_kept(tmp_path: Path) -> None:
    """A second run reads nothing again, unless input, options or output changed, or by force."""
    path = tmp_path / "a.deb"
    path.write_bytes(b.deb({PATH: b.vmlinuz()}))
    output = tmp_path / "out" / f"{b.KEY}.btf"
    assert only(collect(tmp_path, path)).state == DONE
    kept = only(collect(tmp_path, path))
    assert (kept.state, kept.key, kept.size) == (ALREADY_THERE, b.KEY, 0)
    output.write_bytes(b"half")
    assert only(collect(tmp_path, path)).state == DONE
    assert output.read_bytes() == b.kernel_btf()
    os.utime(path, ns=(1, 1))
    assert only(collect(tmp_path, path)).state == DONE
    assert only(collect(tmp_path, path, id="kali")).key == b.KEY.replace("debian", "kali")
    assert only(collect(tmp_path, path, force=True)).state == DONE
    path.unlink()
    assert only(collect(tmp_path, path)).state == DAMAGED


def test_a_journal_that_was_cut_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    """A line that a crash cut short costs its input a second reading, and nothing else."""
    for name in ("a", "b"):
        hub(tmp_path / "in", f"debian/12/x86_64/6.{name}", b.kernel_btf())
    collect(tmp_path, tmp_path / "in")
    journal = tmp_path / "out" / NAME
    junk = b'{"not": "ours"}\n[1]\n["x", 1, 2, 3, 4, 5, 6, 7]\n\xff\n'
    journal.write_bytes(junk + journal.read_bytes()[:-20])
    assert sorted(states(collect(tmp_path, tmp_path / "in")).values()) == [DONE, ALREADY_THERE]
    assert set(states(collect(tmp_path, tmp_path / "in")).values()) == {ALREADY_THERE}


def test_the_first_of_two_inputs_is_taken(tmp_path: Path) -> None:
    """Where two inputs have other BTFs of one kernel, the first named wins, and that is
    reported.
    """
    first = hub(tmp_path / "1", b.KEY, b.kernel_btf())
    second = hub(tmp_path / "2", b.KEY, b.kernel_btf() + b"x")
    for jobs in (1, 2):
        for expected in ([DONE, ALREADY_THERE], [ALREADY_THERE, ALREADY_THERE]):
            result = collect(tmp_path, first, second, jobs=jobs, force=expected[0] == DONE)
            assert [outcome.state for outcome in result.outcomes] == expected
            assert (
                f"another BTF of this kernel is there, from {first}" in result.outcomes[1].notes[0]
            )
            assert written(tmp_path) == {f"{b.KEY}.btf": b.kernel_btf()}


def test_the_faster_input_gives_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of the inputs decides even where the later one was read first."""
    first = hub(tmp_path / "1", b.KEY, b.kernel_btf())
    second = hub(tmp_path / "2", b.KEY, b.kernel_btf() + b"x")
    original = pool.run

    def backwards(work: Callable[[int], object], numbers: list[int], jobs: int) -> object:
        return original(work, numbers[::-1], 1)

    monkeypatch.setattr(pool, "run", backwards)
    result = collect(tmp_path, first, second)
    assert [outcome.state for outcome in result.outcomes] == [DONE, ALREADY_THERE]
    assert result.outcomes[1].size == 0
    assert written(tmp_path) == {f"{b.KEY}.btf": b.kernel_btf()}


def test_equal_btfs_of_one_kernel_need_no_word(tmp_path: Path) -> None:
    """A kernel that is there twice is written once."""
    for place in ("1", "2"):
        hub(tmp_path / "in" / place, b.KEY, b.kernel_btf())
    result = collect(tmp_path, tmp_path / "in")
    assert [outcome.state for outcome in result.outcomes] == [DONE, ALREADY_THERE]
    assert [outcome.notes for outcome in result.outcomes] == [(), ()]


def test_a_link_is_a_kernel_of_its_own(tmp_path: Path) -> None:
    """Collections link kernels that several distributions share; each is filed under its path."""
    hub(tmp_path / "in", "centos/8/x86_64/4.18", b.kernel_btf())
    (tmp_path / "in/rhel").symlink_to("centos")
    (tmp_path / "in/ol/8/x86_64").mkdir(parents=True)
    (tmp_path / "in/ol/8/x86_64/4.18.btf").symlink_to("../../../centos/8/x86_64/4.18.btf")
    for state in (DONE, ALREADY_THERE):
        result = collect(tmp_path, tmp_path / "in")
        assert [(outcome.state, outcome.key) for outcome in result.outcomes] == [
            (state, "centos/8/x86_64/4.18"),
            (state, "ol/8/x86_64/4.18"),
        ]


def test_minimized_btf_is_taken_and_reported(tmp_path: Path) -> None:
    """BTF without functions is a part of a kernel's; it is of use, but not for all."""
    outcome = only(collect(tmp_path, hub(tmp_path, b.KEY, b.kernel_btf(full=False))))
    assert outcome.state == DONE
    assert "minimized BTF" in outcome.notes[0]


def test_btf_of_no_kernel_is_refused(tmp_path: Path) -> None:
    """A BPF object's BTF has no task_struct with members; half a BTF is none."""
    other = BtfBuilder()
    other.integer("int", 4)
    path = hub(tmp_path, b.KEY, other.build())
    assert "no struct task_struct among 1 types" in only(collect(tmp_path, path)).error
    path.write_bytes(b.kernel_btf()[:-1])
    assert "cut short" in only(collect(tmp_path, path)).error
    path.write_bytes(b.kernel_btf("arm64"))
    assert "its types are arm64, its path says x86_64" in only(collect(tmp_path, path)).error


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """The root directory of a system whose kernel has BTF and a module."""
    root = tmp_path / "root"
    btf = root / "sys/kernel/btf"
    btf.mkdir(parents=True)
    (btf / "vmlinux").write_bytes(b.kernel_btf(arch()))
    (btf / "ext4").write_bytes(b.module_btf(b.kernel_btf(arch())))
    (root / "etc").mkdir()
    (root / "etc/os-release").write_text("ID=rolling\n")
    return root


def arch() -> str:
    return "arm64" if os.uname().machine == "aarch64" else "x86_64"


def test_this_host_is_an_input(tmp_path: Path, host: Path) -> None:
    """/sys/kernel/btf is the running kernel's: uname and os-release name it."""
    result = collect(tmp_path, host / "sys/kernel/btf/vmlinux", root=str(host))
    release = os.uname().release
    assert only(result).key == f"rolling/_/{arch()}/{release}"
    assert list(written(tmp_path)) == [f"rolling/_/{arch()}/{release}.btf"]


def test_modules_of_this_host_come_with_an_option(tmp_path: Path, host: Path) -> None:
    """Their split BTF is verified against the kernel's, and written beside it."""
    for _ in range(2):
        btf = host / "sys/kernel/btf"
        assert only(collect(tmp_path, btf, root=str(host), modules=True, force=True)).state == DONE
        key = f"rolling/_/{arch()}/{os.uname().release}"
        assert set(written(tmp_path)) == {f"{key}.btf", f"{key}.modules/ext4.btf"}
    (host / "sys/kernel/btf/ext4").write_bytes(b"junk" * 9)
    result = collect(
        tmp_path, host / "sys/kernel/btf/vmlinux", root=str(host), modules=True, force=True
    )
    assert "module ext4: no BTF" in only(result).error


def test_progress_is_reported(tmp_path: Path, mixed: Path) -> None:
    """The callback hears of each input when it is begun and when it is done."""
    heard: list[Progress] = []
    out = str(tmp_path / "out")
    harvest([str(mixed)], out, Options(jobs=1), b.UNPACKERS, heard.append)
    assert [(p.done, p.total) for p in heard] == [(n // 2, 7) for n in range(1, 15)]
    assert heard[-1].size == len(b.kernel_btf()) * 3
    assert {os.path.basename(p.name) for p in heard} >= {"one.deb", "cut.rpm"}


def test_a_release_is_for_one_input(tmp_path: Path, mixed: Path) -> None:
    """--release with several inputs would file all of them under one name."""
    with pytest.raises(SettingsError, match="there are 7 inputs"):
        collect(tmp_path, mixed, release="6.1")


def test_two_harvests_do_not_share_an_output(tmp_path: Path) -> None:
    """The second one says so at once; when the first is gone it may go on."""
    (tmp_path / "out").mkdir()
    journal = Journal(str(tmp_path / "out"))
    with pytest.raises(HarvestError, match="another harvest is writing to"):
        collect(tmp_path)
    journal.close()
    assert collect(tmp_path).outcomes == []


def test_an_output_that_is_no_directory_is_reported(tmp_path: Path) -> None:
    """A file in the way is named."""
    (tmp_path / "out").write_text("")
    with pytest.raises(HarvestError, match="out cannot be made: file exists"):
        collect(tmp_path)


def test_leavings_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    """Half a vmlinux of 600 MB does not stay on the disk for ever."""
    left = tmp_path / "out/.harvest.tmp/0"
    left.mkdir(parents=True)
    (left / "vmlinux").write_bytes(b"x")
    collect(tmp_path)
    assert os.listdir(tmp_path / "out") == [NAME]


def test_the_journal_is_a_line_an_input(tmp_path: Path) -> None:
    """The state of an output directory is one small file."""
    path = hub(tmp_path / "in", b.KEY, b.kernel_btf())
    collect(tmp_path, path)
    (line,) = (tmp_path / "out" / NAME).read_text().splitlines()
    assert json.loads(line)[0] == str(path)
