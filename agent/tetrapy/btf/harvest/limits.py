# SPDX-License-Identifier: Apache-2.0
"""How much a harvest takes from one input before it gives up. Sizes are in bytes."""

from __future__ import annotations

# The largest distribution kernels unpack to about 100 MiB.
KERNEL = 256 << 20
# A vmlinux with DWARF has 0.5 to 1 GiB.
DEBUG_KERNEL = 4 << 30
# Full BTFs have 3 to 20 MiB.
BTF = 128 << 20
# Symbol files of Volatility have 30 to 80 MiB; reading one takes ten times that.
ISF = 192 << 20
# The vmlinux.h of a kernel has 2 to 5 MiB; reading it takes fifty times that.
HEADER = 16 << 20
# A type in bytes (BTF counts the bits of a member's place in 32), and its members.
TYPE = (1 << 29) - 1
MEMBERS = 0xFFFF
# What may be unpacked of one package until its kernel comes.
PACKAGE = 8 << 30
# Headers: an rpm's, the control member of a .deb, one extended tar header.
METADATA = 64 << 20
CONTROL = 16 << 20
TAR_HEADER = 1 << 20
# xz -9 asks for 64 MiB to unpack, kernels packed with a dictionary of 128 MiB for a little more.
XZ_MEMORY = 160 << 20
# A list of inputs, and an image inside an image (Image.gz of an EFI zboot image ...).
LIST = 16 << 20
NESTING = 3
# One input: address space of its process, seconds, and seconds of pahole.
ADDRESS_SPACE = 4 << 30
SECONDS = 900
PAHOLE_SECONDS = 3600
