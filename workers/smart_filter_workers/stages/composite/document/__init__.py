"""Photos for documents: where the head is put, what is checked, and the sheet to print.

Called by stages.composite.
Calls shared, wire.
"""
