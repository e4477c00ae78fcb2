# SPDX-License-Identifier: Apache-2.0
"""What happened: records as the kernel hands them over, events as they are exported."""
