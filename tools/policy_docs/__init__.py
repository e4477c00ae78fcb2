# SPDX-License-Identifier: Apache-2.0
"""What is written from the schema of policies, and from the tables of system calls."""
