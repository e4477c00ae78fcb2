# SPDX-License-Identifier: Apache-2.0
"""What dist/tetrapy.pyz is made of: each file traced to where it comes from, written as SPDX and
CycloneDX.
"""
