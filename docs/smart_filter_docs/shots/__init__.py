"""What the documentation's pictures of the studio show: one module per part, each with `SHOTS`.

`docs/make_screenshots.py` takes them, of the running product.
"""
