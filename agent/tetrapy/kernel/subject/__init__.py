# SPDX-License-Identifier: Apache-2.0
"""A process of ours prepared so that its values can be recognized in kernel memory.

`subject.py` is the agent's side, `keeper.py` the real parent, `prepared_task.py` what is looked at;
`plan.py` says which odd values it gets, `own_proc.py` reads what procfs says of them.
"""

from __future__ import annotations

from tetrapy.kernel.subject.subject import Subject, prepared

__all__ = ["Subject", "prepared"]
