# SPDX-License-Identifier: Apache-2.0
"""What a person types, and what it prints."""
