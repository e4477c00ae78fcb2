# SPDX-License-Identifier: Apache-2.0
"""What a client of the API does with what it receives. Nothing that the agent's start imports.

- `recorded`: a line of an export file -> an event; `event_filter`: which of them are asked for.
- `compact`: an event as a line for people; `functions` and `system_calls` say how calls look there.

An event is the JSON form of Tetragon's message GetEventsResponse in plain Python: names of the
.proto files, fields that are not set left out, 64-bit numbers and bytes as texts.
"""
