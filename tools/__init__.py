# SPDX-License-Identifier: Apache-2.0
"""What builds and tests tetrapy; nothing of it goes into the file that users run.

Run from the root of the repository: `python3 -m tools.<module>`.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - a sentence for who has an older one
    raise SystemExit(
        f"the build side needs Python 3.11 or newer, and this is {sys.version.split()[0]};"
        " tetrapy.pyz itself runs on 3.8"
    )
