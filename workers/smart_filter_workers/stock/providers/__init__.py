"""Where pictures come from: one file for each kind of place, found by looking.

A provider is a module with `opens(address)` and `open_at(address, storage)`, as base.py says.
"""
