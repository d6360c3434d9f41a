"""One file a family of backgrounds, found by its name; each has `draw(preset, sheet)`."""
