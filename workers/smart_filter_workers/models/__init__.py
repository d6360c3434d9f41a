"""Find, load and cache models, and admit weights of operators."""
