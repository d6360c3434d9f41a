"""Composite stage: put the people on another background, at full resolution."""
