# SPDX-License-Identifier: Apache-2.0
"""The JSON encoders, a document and a JSON Schema that are written from the schema of events."""
