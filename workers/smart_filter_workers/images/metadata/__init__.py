"""What a file says about its picture: EXIF, XMP, color profiles and color code points."""
