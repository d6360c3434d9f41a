"""How well a picture prints.

assess     what is measured on the photo, its faces and its sharpest tiles
verdicts   the limits, and one sentence for each part

Called by stages.composite.document.
Calls shared, wire.
"""
