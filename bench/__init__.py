# SPDX-License-Identifier: Apache-2.0
"""What events, starts and attacks cost; what is lost."""

import tools as tools  # tells which Python it takes
