# SPDX-License-Identifier: Apache-2.0
"""What an operator has to rely on, measured: nothing lost, nothing torn, nothing left behind."""
