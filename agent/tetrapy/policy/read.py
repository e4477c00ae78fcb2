# SPDX-License-Identifier: Apache-2.0
"""Texts -> checked policies."""

from __future__ import annotations

from typing import Mapping, Tuple

from tetrapy.named import NamedTuple
from tetrapy.policy.check import check
from tetrapy.policy.parser import parse
from tetrapy.policy.problems import Problem, Problems
from tetrapy.policy.types import Policy


class Read(NamedTuple):
    """A policy that keeps all rules, and what in it is probably not meant."""

    policy: Policy
    warnings: Tuple[Problem, ...]
    marks: Mapping[str, Tuple[int, int]]  # path -> line and column, for who finds more


def read_policy(text: str) -> Read:
    """The policy in a text. Raises PolicyError with all mistakes, up to a bound."""
    problems = Problems()
    policy = parse(text, problems)
    check(policy, problems)
    problems.give_up()
    return Read(policy, tuple(problems.warnings), problems.marks)
