# SPDX-License-Identifier: Apache-2.0
"""What dist/tetrapy.pyz is made of: each file traced to where it comes from, told as SPDX and
CycloneDX.
"""
