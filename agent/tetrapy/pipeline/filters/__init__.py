"""Which events pass: allow and deny lists of Tetragon's message `Filter`.

A list's objects are alternatives, an object's fields must all hold, a field's values are
alternatives. An event is exported unless the deny list has an object that holds, and if the allow
list is empty or has one.
"""
