# SPDX-License-Identifier: Apache-2.0
"""Full BTFs out of kernels, packages, debug packages and collections of BTFs.

    result = harvest(inputs, output, options, unpackers, progress)

writes `ID/VERSION_ID/arch/<uname -r>.btf` (BTFHub's layout) below `output` for each input that is,
or holds, a kernel.  What an input may be is decided by `sources`; how the files are opened, which
kernel it is, and how the work is spread over processes by the modules beside it.

Everything that is read here is taken for hostile: sizes are limited before memory is taken, names
out of archives never become paths without a check, and each input is read in a process whose
memory and time are limited.
"""

from __future__ import annotations

from tetrapy.btf.harvest.options import Options, Unpackers
from tetrapy.btf.harvest.result import Outcome, Progress, Result
from tetrapy.btf.harvest.run import harvest

__all__ = ["Options", "Outcome", "Progress", "Result", "Unpackers", "harvest"]
