# SPDX-License-Identifier: Apache-2.0
"""Which layout of kernel structures is the running kernel's: proven, chosen or found by checks.

A *reference process* is one of ours about which everything is known from system calls and procfs.
A *layout* is what a kernel answers to the objects' queries (`abi.core_queries.Answers`).  Through a
layout the reference process's structures are read in kernel memory; a *check* compares what is
found with what is known.  Nothing here talks to the kernel: the reference process reads its memory.
"""
