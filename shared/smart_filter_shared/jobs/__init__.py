"""Jobs and their stages: states, the transitions between them, and what is read of them."""
