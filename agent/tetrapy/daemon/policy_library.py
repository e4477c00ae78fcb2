# SPDX-License-Identifier: Apache-2.0
"""The policies that tetrapy carries: `library:NAME` in place of a file's path."""

from __future__ import annotations

from typing import Dict, List, Tuple

from tetrapy.errors import BundleError, SettingsError
from tetrapy.json_codec import loads
from tetrapy.kernel import bundle
from tetrapy.policy.problems import expected, quoted

PREFIX = "library:"
_FILE = "policies/library.json"


def policies() -> Dict[str, str]:
    """Name -> YAML of all, in the order of the names. Raises BundleError."""
    found: Dict[str, str] = loads(bundle.read(_FILE))
    return found


def text(name: str) -> str:
    """A policy's YAML. Raises SettingsError for a name that is not there, BundleError."""
    known = policies()
    if name not in known:
        raise SettingsError(f"the library has no policy {quoted(name)}; {expected(name, known)}")
    return known[name]


def policy_text(path: str, *, standard_input: bool = False) -> str:
    """What a file, or with `library:` in front a policy of the library, holds; where it is allowed
    `-` is standard input.

    Raises PolicyError for a file in another encoding, OSError, SettingsError.
    """
    if path.startswith(PREFIX):
        try:
            return text(path[len(PREFIX) :])
        except BundleError as err:
            raise SettingsError(str(err)) from err
    # Imported late, as all that reads policies.
    from tetrapy.policy.text import text_of

    return text_of(path, standard_input=standard_input)


def header(yaml: str) -> Tuple[str, List[str]]:
    """The sentence that a policy's comment begins with, and its other lines."""
    lines = []
    for line in yaml.splitlines()[1:]:  # the first one names the licence
        if not line.startswith("#"):
            break
        lines.append(line[2:])
    return (lines[0], lines[1:]) if lines else ("", [])
