# SPDX-License-Identifier: Apache-2.0
"""What is loaded into the kernel and attached there: an object, its programs, their links."""

from __future__ import annotations

import errno as errnos
from typing import Dict, Optional, Sequence

from tetrapy.errors import KernelError, NotPermittedError, UnsupportedFeatureError
from tetrapy.kernel import features
from tetrapy.kernel.bpf_object import BpfObject, refusal_reason
from tetrapy.kernel.privilege import denied
from tetrapy.kernel.programs import ProgramInfo, program_info


class Sensor:
    """One BPF object. Configure `object`, then `load`, then `attach`; `close` gives it back.

    Records of its programs come out of the buffer of an event source.
    """

    def __init__(
        self,
        name: str,
        data: bytes,
        programs: Sequence[str],
        needed: Sequence[features.Feature] = (),
        btf_path: Optional[str] = None,
    ) -> None:
        """`programs` are attached in this order; a lack of `needed` may be why it is refused.

        Raises KernelError when libbpf does not take the object `data`.
        """
        self.object = BpfObject(data, name, btf_path)
        self._programs = programs
        self._needed = needed
        self._fds: Dict[str, int] = {}

    def load(self) -> None:
        """Have the kernel take the object.

        Raises NotPermittedError that names the obstacle, UnsupportedFeatureError, or else
        KernelError with what libbpf and the verifier said.
        """
        try:
            self.object.load()
        except KernelError as err:
            if err.errno == errnos.EACCES and refusal_reason(err.log):
                raise  # the verifier's word for a program that reads what it must not
            refused = denied(err.errno, "the kernel refused the BPF programs")
            if isinstance(refused, NotPermittedError):
                refused.log = err.log
                raise refused from err
            self._require_features(err)
            raise
        self._fds = self.object.program_fds()

    def _require_features(self, err: KernelError) -> None:
        """Name what the kernel lacks, if that is why it refused the object with `err`."""
        try:
            features.require(self._needed)
        except UnsupportedFeatureError as lacking:
            lacking.log = err.log
            raise lacking from err

    @property
    def fds(self) -> Dict[str, int]:
        """File descriptors of the loaded programs, by name; they belong to the object."""
        return self._fds

    def attach(self) -> None:
        """Attach the programs. Raises KernelError when the kernel refuses one."""
        for program in self._programs:
            self.object.attach(program)

    def info(self, program: str) -> ProgramInfo:
        """What the kernel tells of a loaded program."""
        return program_info(self._fds[program])

    def detach(self) -> None:
        """Take the programs off their hooks; maps stay readable."""
        self.object.detach()

    def close(self) -> None:
        """Detach and give everything back to the kernel; safe to call twice."""
        self.object.close()
