# SPDX-License-Identifier: Apache-2.0
"""TracingPolicy documents: text in, typed and checked policies out. No kernel is asked here.

`schema` describes every field once; from it come the strict parser (`parser`), the classes
(`types`, generated), and the JSON Schema for editors (`json_schema`). `check` adds the rules that
tie fields together, `conditions` says what the values of filters mean, `later` what a policy asks
of that this agent does not do yet.
"""
