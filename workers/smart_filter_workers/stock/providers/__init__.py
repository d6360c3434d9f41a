"""Places from which pictures come: one module for each kind of place, found by its file.

A provider is a module with `opens(address)` and `open_at(address, storage)`; see base.py.

Called by stock.
Calls shared.
"""
