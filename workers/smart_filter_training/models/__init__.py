"""What can be trained: one folder each, with `data`, `train`, `evaluate` and `export`."""
