# SPDX-License-Identifier: Apache-2.0
"""What a release consists of: tarballs, Debian packages and RPMs around the built programs."""
