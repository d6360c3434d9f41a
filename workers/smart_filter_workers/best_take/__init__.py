"""The best take of a burst: one picture of a group, with the best face of each person.

compose     the base, and whose face from which shot replaces one of its faces
alignment   a shot in the pixels of the base
seams       a region of one picture in another one

Called by artifacts.
Calls shared, wire.
"""
