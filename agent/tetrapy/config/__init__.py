# SPDX-License-Identifier: Apache-2.0
"""What an operator can set, and where settings come from."""
