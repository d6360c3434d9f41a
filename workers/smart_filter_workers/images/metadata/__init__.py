"""Metadata of picture files: EXIF, XMP, color profiles and color code points.

Called by decoder.
Calls nothing.
"""
