# SPDX-License-Identifier: Apache-2.0
r"""Go's regular expressions (RE2 syntax), as every filter and redaction of Tetragon uses them.

A process chooses its own name and arguments, so matching them must take time that is bounded
whatever they are. Python's `re` backtracks: `foo.*bar` on `foofoofoo...` takes the square of the
length, a nested repetition the power. So a pattern is parsed here, and its tree is used in ways:

* `literals` finds texts without which nothing matches; most texts have none of them;
* `translate` writes it for `re`, which is used where `cost` bounds the steps it can take;
* `automaton` (does it match?) and `threads` (where are the groups?) take any text in linear time.

Steps are taken from the `budget` of the text; what costs more raises OverBudgetError.

What RE2 refuses is refused: look-around, back-references, possessive repetition. What RE2 has and
this has not: names of scripts such as \p{Greek} (categories such as \p{L} and \pN are known).
"""
