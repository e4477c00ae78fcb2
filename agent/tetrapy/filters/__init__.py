# SPDX-License-Identifier: Apache-2.0
"""What is asked of events and texts. Pure: no input, no output, no settings.

Who asks is elsewhere: the export file, and later subscribers and policies.

- `lists`: which events pass, by the allow and deny lists of Tetragon's message `Filter`. A list's
  objects are alternatives, an object's fields must all hold, a field's values are alternatives. An
  event is exported unless the deny list has an object that holds, and if the allow list is empty
  or has one. `pushdown` is the part of them that the kernel decides.
- `field_filters`: which fields of an event are shown.
- `redaction`: which parts of arguments are hidden.
- `regex`, `cel`: the two languages that they are written in, with bounds on what a text may cost.
"""
