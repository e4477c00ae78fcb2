# SPDX-License-Identifier: Apache-2.0
"""Metrics for Prometheus. Imported by an agent that serves them, and by no other."""
