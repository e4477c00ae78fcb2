# SPDX-License-Identifier: Apache-2.0
"""Where exported lines go: files that rotate, standard output, FIFOs and devices."""
