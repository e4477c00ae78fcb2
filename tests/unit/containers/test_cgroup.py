# SPDX-License-Identifier: Apache-2.0
"""Container ids out of the paths of cgroups, as the kernel side and procfs tell them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tetrapy.containers.cgroup import (
    ContainerRef,
    container_of_names,
    container_of_procfs,
    outermost_of_names,
    outermost_of_procfs,
)
from tetrapy.kernel.cgroups import container_path, host_controller

if TYPE_CHECKING:
    from pathlib import Path

ID = "5ca1ab1e" * 8
OTHER = "feedface" * 8
SHOWN = ID[:31]
POD = "kubepods-burstable-pod0f6f7d4e_1111_2222_3333_444455556666"


def both(path: str | bytes) -> set[ContainerRef | None]:
    """The answer of the kernel's names, and those of procfs with either kind of hierarchy."""
    data = path.encode() if isinstance(path, str) else path
    names = b"".join(name + b"\0" for name in reversed(data.split(b"/")) if name)
    legacy = b"3:pids:/x\n2:cpu,memory:" + data
    found = (
        container_of_names(names),
        container_of_procfs(b"0::" + data + b"\n"),
        container_of_procfs(b"2:memory:/\n0::" + data + b"\n"),  # left over after an unmount
        container_of_procfs(legacy + (b"\n0::/" if data == b"/" else b"\n0::/" + OTHER.encode())),
    )
    return set(found)


def shown(path: str | bytes) -> set[str]:
    """The digits that events show."""
    return {"" if one is None else one.docker for one in both(path)}


@pytest.mark.parametrize(
    "path",
    [
        f"/system.slice/docker-{ID}.scope",
        f"/docker/{ID}",
        f"/kubepods.slice/kubepods-burstable.slice/{POD}.slice/cri-containerd-{ID}.scope",
        f"/kubepods/burstable/pod0f6f7d4e-1111/{ID}",
        f"/system.slice/containerd.service/{POD}.slice:cri-containerd:{ID}",
        f"/kubepods.slice/crio-{ID}.scope",
        f"/kubepods.slice/crio-{ID}.scope/container",
        f"/machine.slice/libpod-{ID}.scope/container",
        f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope/container",
        f"/libpod_parent/libpod-{ID}",
        f"/ecs/0123456789abcdef0123456789abcdef/{ID}",
        f"/x/docker:y-{ID}.scope",
        # Tetragon asks for at least 64 digits.
        f"/kubepods.slice/crio-{ID}0000.scope",
        f"/docker/{ID}0",
        # Made inside the container: by its systemd, by hand, by a runtime for its own purposes.
        f"/docker/{ID}/system.slice/cron.service",
        f"/docker/{ID}/init.scope",
        f"/docker/{ID}/mine",
        f"/docker/{ID}/{OTHER[:63]}",
        f"/docker/{ID}/{OTHER}.service",
        f"/docker/{ID}/{'long' * 60}",
        f"/docker/{ID}/machine.slice/libpod-conmon-{OTHER}.scope",
        f"/system.slice/docker/{OTHER}/{ID}/syscont-cgroup-root",
        # A container in a container: the inner one counts.
        f"/docker/{OTHER}/docker/{ID}",
        f"/docker/{OTHER}/kubepods/pod1/{ID}/mine",
    ],
)
def test_a_container(path: str) -> None:
    """Docker, containerd, CRI-O, Podman, Kubernetes and others, and whatever is below."""
    assert shown(path) == {SHOWN}


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/init.scope",
        "/user.slice/user-0.slice/session-429.scope",
        "/user.slice/user-1000.slice/user@1000.service/app.slice",
        "/system.slice/docker.service",
        "/system.slice/containerd.service",
        "/container",
        "/docker",
        f"/system.slice/{ID}.service",
        f"/system.slice/{ID}.slice",
        f"/machine.slice/libpod-conmon-{ID}.scope",
        f"/system.slice/crio-conmon-{ID}.scope",
        f"/machine.slice/conmon-{ID}",
        f"/machine.slice/conmon-{ID}0",
        f"/docker/{ID[:63]}",
        f"/docker/{ID.upper()}",
        f"/docker/{ID[:63]}g",
        f"/docker/{ID[:32]}",
        f"/docker/{ID[:31]}",
        f"/docker/{ID}.scope.scope",
        f"/docker/{ID}-x",
        f"/docker/x{ID}",
        f"/docker/{ID[:32]}/{ID[32:]}",
        "/machine/3f1c9a0c7d2e4b5f8a6d7c8b9e0f1a2b",
        "/system.slice/backup_of_the_accounting_database_to_the_second_data_centre_nightly.scope",
        "/lxc.payload.web/init.scope",
    ],
)
def test_no_container(path: str) -> None:
    """Services, sessions, supervisors, long names, fewer digits and other digits."""
    assert shown(path) == {""}


@pytest.mark.parametrize(
    ("path", "runtime", "maker"),
    [
        (f"/system.slice/docker-{ID}.scope", "docker", 0),
        (f"/docker/{ID}", "docker", 0),
        (f"/machine.slice/libpod-{ID}.scope/container", "podman", 0),
        (f"/libpod_parent/libpod-{ID}", "podman", 0),
        (f"/user.slice/user-7.slice/user@7.service/user.slice/libpod-{ID}.scope", "podman", 7),
        (f"/kubepods.slice/cri-containerd-{ID}.scope", "containerd", 0),
        (f"/system.slice/containerd.service/{POD}.slice:cri-containerd:{ID}", "containerd", 0),
        # Made up, by whom: a user cannot pass for another one, nor for many.
        (f"/user.slice/user-7.slice/user@7.service/user@8.service/{ID}", "", 7),
        (f"/user.slice/user-7.slice/user@7.service/docker-{OTHER}.scope/docker/{ID}", "docker", 7),
        (f"/docker/{OTHER}/docker/{ID}", "docker", OTHER[:31]),
        (f"/docker/{OTHER}/user@7.service/{ID}", "", OTHER[:31]),
        (f"/kubepods/{POD}/{OTHER}/{ID}", "", POD[POD.index("pod0") :]),
        (f"/system.slice/nerdctl-{ID}.scope", "containerd", 0),
        (f"/kubepods.slice/crio-{ID}.scope", "cri-o", 0),
        (f"/kubepods/burstable/pod0f6f7d4e-1111/{ID}", "", 0),
        (f"/default/{ID}", "", 0),
    ],
)
def test_the_runtime_and_the_whole_id(path: str, runtime: str, maker: int | str) -> None:
    """What is asked first, with what, and for whom; a path that does not tell leaves it open."""
    (found,) = both(path)
    assert found is not None
    assert found[:4] == (SHOWN, ID, runtime, maker)
    assert (found.outer.id if found.outer else "") == (OTHER if OTHER in path else "")


@pytest.mark.parametrize(
    ("path", "runtime", "name"),
    [
        ("/lxc.payload.web/init.scope", "lxc", "web"),
        ("/lxc.payload.web-1/system.slice/cron.service", "lxc", "web-1"),
        ("/lxc/web", "lxc", "web"),
        ("/machine.slice/systemd-nspawn@web.service/payload/init.scope", "nspawn", "web"),
        (r"/machine.slice/machine-web\x2d1.scope/payload", "nspawn", "web-1"),
        ("/machine.slice/machine-web.scope", "nspawn", "web"),
        ("/garden/0f6f7d4e-1111-2222", "garden", "0f6f7d4e-1111-2222"),
        # Outside: monitors and supervisors, and virtual machines.
        ("/lxc.monitor.web", "", ""),
        ("/machine.slice/systemd-nspawn@web.service/supervisor", "", ""),
        ("/machine.slice/machine-web.scope/supervisor", "", ""),
        (r"/machine.slice/machine-qemu\x2d1\x2dvm.scope", "", ""),
        ("/system.slice/machine-web.scope", "", ""),
    ],
)
def test_runtimes_that_give_names(path: str, runtime: str, name: str) -> None:
    """Events show no digits of them, as Tetragon does, but they have a name."""
    assert both(path) == {ContainerRef("", name, runtime) if runtime else None}


@pytest.mark.parametrize(
    ("path", "outermost"),
    [
        ("/", ""),
        ("/user.slice/user-1000.slice/session-1.scope", ""),
        (f"/docker/{ID}", SHOWN),
        (f"/docker/{ID}/docker/{OTHER}", SHOWN),  # made in it
        (f"/docker/{ID}/user@7.service/{OTHER}", SHOWN),
        (f"/system.slice/docker-{ID}.scope/{OTHER}", SHOWN),
        (f"/lxc.payload.web/docker/{ID}", "web"),
        (f"/lxc/web/{ID}", "web"),
        ("/machine.slice/machine-web.scope/payload", "web"),
        # A container gets another id whenever it ends, its pod does not.
        (f"/kubepods.slice/kubepods-burstable.slice/{POD}.slice/cri-containerd-{ID}.scope",
         "pod0f6f7d4e_1111_2222_3333_444455556666"),
        (f"/kubepods/besteffort/pod0f6f7d4e-1111-2222-3333-444455556666/{ID}",
         "pod0f6f7d4e-1111-2222-3333-444455556666"),
        # A user may name cgroups of his as he likes.
        (f"/user.slice/user-7.slice/user@7.service/user.slice/libpod-{ID}.scope", ""),
        (f"/user.slice/user-7.slice/user@7.service/{OTHER}/{ID}", ""),
    ],
)  # fmt: skip
def test_the_outermost(path: str, outermost: str) -> None:
    """Whoever is in a container makes up no other by a cgroup of his own."""
    names = b"".join(name.encode() + b"\0" for name in reversed(path.split("/")) if name)
    assert outermost_of_names(names) == outermost
    assert outermost_of_procfs(f"0::{path}\n".encode()) == outermost


def test_a_name_hides_no_id() -> None:
    """Whoever makes such a cgroup in a container is still in the container."""
    assert shown(f"/docker/{ID}/lxc.payload.web/garden/x") == {SHOWN}
    assert shown(f"/lxc.payload.web/docker/{ID}") == {SHOWN}


@pytest.mark.parametrize("name", [b"\xff" * 64, b"\xff" + b"a" * 64, "\u0661".encode() * 64])
def test_odd_bytes_are_no_container(name: bytes) -> None:
    """Nor are digits of other scripts."""
    assert shown(b"/docker/" + name) == {""}


component = st.one_of(
    st.binary(min_size=1, max_size=80).filter(lambda name: not set(name) & set(b"/\0\n")),
    st.builds(
        lambda prefix, digits, suffix: f"{prefix}{digits}{suffix}".encode(),
        st.sampled_from(["", "docker-", "x:y:", "conmon-", "a-conmon-", ":", "-", "conmon"]),
        st.text("0123456789abcdef", min_size=62, max_size=66),
        st.sampled_from(["", ".scope", ".service", "x", ".scope.d"]),
    ),
)


def expected(path: list[bytes]) -> str:
    """The rule, said otherwise: the last word of the innermost component that is an id."""
    for name in reversed(path):
        words = re.split(rb"[:-]", name.removesuffix(b".scope"))
        digits = words[-1]
        is_id = len(digits) >= 64 and not digits.strip(b"0123456789abcdef")
        if is_id and words[-2:-1] != [b"conmon"]:
            return digits[:31].decode()
    return ""


@pytest.mark.slow
@given(st.lists(component, max_size=6))
@example([b"a" * 64 + b".scope", b"conmon-" + b"b" * 64])
@example([b"conmon:" + b"b" * 64])
@example([b"a" * 64, b"\r0::"])
def test_any_path(path: list[bytes]) -> None:
    """Both readers give the rule's answer for any names, and never anything but digits."""
    joined = b"/" + b"/".join(path)
    found = container_of_names(b"".join(name + b"\0" for name in reversed(path)))
    assert found == container_of_procfs(b"0::" + joined)
    assert (found.docker if found else "") == expected(path)


@given(st.binary(max_size=400))
def test_any_names_and_any_file(data: bytes) -> None:
    """No bytes are refused."""
    for found in (container_of_names(data), container_of_procfs(data)):
        assert found is None or re.fullmatch("([0-9a-f]{31})?", found.docker)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("0::/a", "/a"),
        ("4:memory:/m\n3:pids:/p\n0::/a", "/m"),
        ("3:pids:/p\n4:cpu,memory:/m", "/m"),
        ("3:pids:/p\n1:name=systemd:/s\n0::/a", "/p"),
        ("1:name=systemd:/s\n0::/a", "/a"),  # hybrid: controllers on the unified hierarchy
        # A hierarchy that nobody uses: the kernel side, too, asks one of version 1 only.
        ("4:memory:/\n3:pids:/p\n0::/a", "/a"),
        ("3:pids:/\n0::/a", "/a"),
        ("4:memory:/\n", ""),
        ("0::/with:colon", "/with:colon"),
        ("1:name=memory:/s", ""),
        ("", ""),
        ("garbage", ""),
    ],
)
def test_the_hierarchy_that_tells(text: str, path: str) -> None:
    """Of version 1 that of the memory controller, else of pids; else the unified one."""
    assert container_path(text.encode()) == path.encode()


@pytest.mark.parametrize(
    ("text", "controller"),
    [
        ("0::/a", ""),
        ("4:cpu,memory:/\n3:pids:/p\n0::/a", "memory"),
        ("3:pids:/\n0::/a", "pids"),
        ("1:name=memory:/s", ""),
        ("garbage", ""),
    ],
)
def test_the_controller_of_the_host(text: str, controller: str, tmp_path: Path) -> None:
    """It is there or not; where its processes are says nothing of others."""
    (tmp_path / "self").mkdir()
    (tmp_path / "self/cgroup").write_text(text)
    assert host_controller(str(tmp_path)) == controller


def test_a_procfs_that_does_not_tell() -> None:
    """No answer is not the answer that the hierarchy is unified."""
    assert host_controller("/nonexistent") is None
    assert host_controller("/proc") in {"", "memory", "pids"}
