# SPDX-License-Identifier: Apache-2.0
"""The fields of a TracingPolicy, as Tetragon's CRD has them: the one place that names them."""
