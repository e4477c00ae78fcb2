# SPDX-License-Identifier: Apache-2.0
"""Settings of the kernel's side: how events are seen, kernel types, buffers."""

from __future__ import annotations

from typing import Tuple

from tetrapy.config.setting import BOOL, DIRECTORY, FILE, SIZE, STRING, UINT, Setting, Topic

TOPICS: Tuple[Topic, ...] = (
    (
        "Sensor and buffers",
        (
            Setting(
                "sensor",
                STRING,
                "auto",
                "how events are seen: by eBPF, by the kernel's process connector, or by eBPF and"
                " where that fails by the connector (auto)",
                choices=("auto", "ebpf", "connector"),
                own=True,
            ),
            Setting("rb-size", SIZE, 0, "ring buffer bytes per CPU (K, M, G); 0 chooses"),
            Setting(
                "rb-size-total", SIZE, 0, "ring buffer bytes over all CPUs (K, M, G); 0 chooses"
            ),
            Setting(
                "use-perf-ring-buffer",
                BOOL,
                False,
                "use perf buffers although the kernel has the BPF ring buffer",
            ),
            Setting(
                "execve-map-entries", UINT, 0, "processes that the kernel remembers; 0 is 32768"
            ),
            Setting("execve-map-size", SIZE, 0, "the same in bytes (K, M, G), 64 a process"),
            Setting(
                "data-cache-size",
                UINT,
                1024,
                "most executions whose long arguments may wait for the rest of them",
            ),
            Setting(
                "rb-queue-size",
                SIZE,
                65535,
                "records between the reader of the buffer and their handlers (K, M, G)",
                no_effect="here: records are handled as they are read",
            ),
            Setting(
                "force-small-progs",
                BOOL,
                False,
                "load small BPF programs, for kernels before Linux 5.3, whatever the kernel takes;"
                " policies need large ones",
            ),
            Setting(
                "force-large-progs",
                BOOL,
                False,
                "load large BPF programs although the kernel seems to take small ones only",
            ),
            Setting(
                "verbose",
                UINT,
                0,
                "log of the verifier: 0 none, 1 cut short, 2 whole",
                no_effect="here: --debug logs what the verifier says",
            ),
            Setting(
                "bpf-dir",
                STRING,
                "tetrapy",
                "name of the agent's directory in the BPF file system, /sys/fs/bpf",
            ),
            Setting(
                "release-pinned-bpf",
                BOOL,
                True,
                "remove at start what an agent left there of policies that cannot be loaded now",
            ),
            Setting(
                "keep-sensors-on-exit",
                BOOL,
                False,
                "policies that act on processes go on when the agent ends",
            ),
        ),
    ),
    (
        "Kernel types (BTF)",
        (
            Setting("btf", FILE, "", "BTF file to use in place of the kernel's own"),
            Setting(
                "bpf-lib",
                DIRECTORY,
                "/usr/local/lib/tetrapy/bpf/",
                "directory with BTF fallbacks: metadata/vmlinux-<release>, btf",
            ),
            Setting(
                "btf-inference",
                STRING,
                "auto",
                "where nothing has the kernel's BTF: try the archive's layouts on the kernel"
                " (archive), then search its memory too (auto), or refuse (off)",
                choices=("auto", "archive", "off"),
                own=True,
            ),
            Setting(
                "btf-archive",
                FILE,
                "",
                "archive of `tetrapy btf pack` to use, not the embedded one",
                own=True,
            ),
            Setting(
                "btf-check",
                BOOL,
                True,
                "compare BTF that is not the kernel's own with the kernel",
                own=True,
            ),
            Setting(
                "kernel",
                STRING,
                "",
                "kernel version in place of the detected one",
                no_effect="here: the running kernel's own release is used; --btf names a file",
            ),
        ),
    ),
)
