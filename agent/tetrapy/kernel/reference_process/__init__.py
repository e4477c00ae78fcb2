# SPDX-License-Identifier: Apache-2.0
"""A process of ours prepared so that its values can be recognized in kernel memory.

`reference.py` is the agent's side, `supervisor.py` the real parent, `prepared_task.py` what is
looked at; `plan.py` says which distinct values it gets, `procfs_self.py` reads what procfs says of
them.
"""

from __future__ import annotations

from tetrapy.kernel.reference_process.process import ReferenceProcess, prepared

__all__ = ["ReferenceProcess", "prepared"]
