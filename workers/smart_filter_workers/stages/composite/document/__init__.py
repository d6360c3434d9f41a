"""Photos for documents: where the head is put, what is checked, and the sheet to print.

Called by modules above.
Calls shared, stages.composite.printability, wire.
"""
