"""Find the persons in a picture, tell them apart, and select those to keep."""
