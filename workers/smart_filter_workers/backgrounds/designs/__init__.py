"""One file for each family of backgrounds, found by name; each has `draw(preset, sheet)`."""
