"""Places far out of focus."""
