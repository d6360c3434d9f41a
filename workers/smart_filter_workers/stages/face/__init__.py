"""Face: find the faces."""
