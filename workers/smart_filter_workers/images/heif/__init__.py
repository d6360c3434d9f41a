"""HEIC and AVIF: files of boxes, checked before libheif or libavif decodes them."""
