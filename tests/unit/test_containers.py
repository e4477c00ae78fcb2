"""Container ids out of cgroup names and of /proc/PID/cgroup."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrapy.containers.cgroup import container_of_name, container_of_procfs

ID = "5ca1ab1e" * 8
SHOWN = ID[:31]
POD = "kubepods-burstable-pod0f6f7d4e_1111_2222_3333_444455556666"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (ID, SHOWN),
        (f"docker-{ID}.scope", SHOWN),
        (f"cri-containerd-{ID}.scope", SHOWN),
        (f"cri-containerd:{ID}", SHOWN),
        (f"crio-{ID}.scope", SHOWN),
        (f"libpod-{ID}.scope", SHOWN),
        (f"{POD}.slice:cri-containerd:{ID}", SHOWN),
        ("", ""),
        ("/", ""),
        ("init.scope", ""),
        ("user@1000.service", ""),
        ("session-429.scope", ""),
        ("container", ""),
        (ID[:63], ""),
        (ID[:31], ""),
        (f"{ID}.service", ""),
        (f"systemd-{'x' * 90}.service", ""),
    ],
)
def test_the_name_that_the_kernel_side_hands_over(name: str, shown: str) -> None:
    """What follows the last `:` and `-`, when it is 64 long and no systemd service."""
    assert container_of_name(name.encode()) == shown


def test_a_name_that_the_kernel_side_cut() -> None:
    """127 bytes are all there is: 31 characters of an id are then enough, 30 are not."""
    front = f"{POD}.slice:cri-containerd:".rjust(127 - 31, "x")
    assert container_of_name((front + ID)[:127].encode()) == SHOWN
    front = front.rjust(127 - 30, "x")
    assert container_of_name((front + ID)[:127].encode()) == ""
    assert container_of_name((front + ID)[:126].encode()) == ""


@given(st.binary(max_size=127))
def test_any_name(name: bytes) -> None:
    """No bytes are refused; what is found is at most 31 characters long."""
    assert len(container_of_name(name)) in {0, 31}


@pytest.mark.parametrize(
    "text",
    [
        # cgroup v2
        f"0::/system.slice/docker-{ID}.scope",
        f"0::/docker/{ID}",
        f"0::/kubepods.slice/kubepods-burstable.slice/{POD}.slice/cri-containerd-{ID}.scope",
        f"0::/kubepods/burstable/pod0f6f7d4e-1111/{ID}",
        f"0::/machine.slice/libpod-{ID}.scope/container",
        f"0::/machine.slice/libpod-{ID}.scope",
        f"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope/container",
        # cgroup v1
        f"12:pids:/docker/{ID}\n11:memory:/docker/{ID}\n1:name=systemd:/docker/{ID}\n0::/",
        f"4:memory:/kubepods/besteffort/pod12/{ID}\n1:name=systemd:/kubepods/pod12/{ID}",
        f"9:cpu,cpuacct:/system.slice/containerd.service/{POD}.slice:cri-containerd:{ID}",
        # neither pods, docker nor libpod: a last component of hex digits
        f"0::/lxc/{ID}",
        f"0::/default/{ID}",
        f"0::/x/docker:y-{ID}.scope",  # a colon in the path is no separator of the line
        f"0::/some/{ID[:32]}",
        f"3:cpuset:/\n2:memory:/garden/{ID[:40]}",
    ],
)
def test_a_container_in_procfs(text: str) -> None:
    """Docker, containerd, CRI-O, Podman, Kubernetes and others, with either hierarchy."""
    assert container_of_procfs(text) == SHOWN
    assert container_of_procfs(text + "\n") == SHOWN


def test_a_sysbox_container() -> None:
    """Inside a Sysbox container the fifth part of the path is the id of the container."""
    inner = "feedface" * 8
    text = f"0::/system.slice/docker/{ID}/{inner}/syscont-cgroup-root\n"
    assert text.split(":")[2].split("/")[4] == inner
    assert container_of_procfs(text) == inner[:31]
    assert container_of_procfs(f"0::/docker/{ID}/x/{inner}/syscont-cgroup-root") == inner[:31]
    for shorter in (
        f"0::/docker/{ID}/{inner}/syscont-cgroup-root",
        "0::/docker/syscont-cgroup-root",
    ):
        assert container_of_procfs(shorter) == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0::/",
        "0::/init.scope",
        "0::/user.slice/user-0.slice/session-1.scope",
        "0::/system.slice/docker.service",
        "0::/system.slice/containerd.service",
        "0::/system.slice/docker.socket",
        "12:pids:/user.slice\n1:name=systemd:/user.slice/user-1000.slice\n0::/",
        f"0::/lxc/{SHOWN[:30]}",
        f"0::/lxc/{ID[:50]}xyz",
        f"0::/docker/{ID[:20]}",
        "garbage",
        ":::::",
    ],
)
def test_no_container_in_procfs(text: str) -> None:
    """Services, sessions, the root and what is not in cgroup's form are no containers."""
    assert container_of_procfs(text) == ""


def test_lines_are_looked_at_in_their_order() -> None:
    """A bare hex name wins over a line that says docker and comes later, as with Tetragon."""
    other = "0" * 64
    text = f"5:freezer:/x/{other}\n4:memory:/docker/{ID}\n"
    assert container_of_procfs(text) == other[: len(SHOWN)]


def test_half_a_byte_is_no_id() -> None:
    """A bare name counts only as whole bytes in hexadecimal."""
    assert container_of_procfs(f"0::/some/{ID[:33]}") == ""


@given(st.text(max_size=200) | st.text("0123456789abcdef:/-\n", max_size=200))
def test_any_cgroup_file(text: str) -> None:
    """No text is refused; what is found is at most 31 characters long."""
    assert len(container_of_procfs(text)) in {0, 31}
