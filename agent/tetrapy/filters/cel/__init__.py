# SPDX-License-Identifier: Apache-2.0
"""Expressions of the Common Expression Language (CEL) in the field `cel_expression`.

cel-python parses and evaluates them. It knows no types before it evaluates, so `checker` finds
unknown fields, comparisons of different types and what is no condition when the agent starts, as
Tetragon does. One evaluation takes about half a millisecond; `expression` remembers results by the
values that the expression reads.
"""
