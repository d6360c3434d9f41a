"""The filters, one file each, named as their cards.

Called by stages.composite.filters.
Calls shared.
"""
