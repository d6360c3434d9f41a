"""Arrange the studio for the documentation's screenshots: one module per part, with `SHOTS`.

`docs/make_screenshots.py` takes them from the running product.
"""
