"""The filters, one file each, named as their cards.

Called by modules above.
Calls shared.
"""
