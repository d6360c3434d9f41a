"""Measure faces and light on pixels, for printing and for the choice of the best shot."""
