"""The HTTP face: takes photos in, answers what became of them, decodes nothing.

Called by deploy.
Calls shared, wire.
"""
