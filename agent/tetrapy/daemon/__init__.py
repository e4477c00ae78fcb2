# SPDX-License-Identifier: Apache-2.0
"""The agent: wires settings, sensor, process table and sink together."""
