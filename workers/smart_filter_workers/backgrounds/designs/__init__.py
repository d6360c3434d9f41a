"""Families of backgrounds, found by name: `draw_FAMILY(preset, sheet)`, for some a texture.

Called by modules above.
Calls shared.
"""
