"""Studio backgrounds: paper, walls and the light on them."""
