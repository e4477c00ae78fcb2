# SPDX-License-Identifier: Apache-2.0
"""What lets others trust the files of a release: sums, bills of materials, a signature."""
