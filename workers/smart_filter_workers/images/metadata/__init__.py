"""Metadata of picture files: EXIF, XMP, color profiles and color code points."""
