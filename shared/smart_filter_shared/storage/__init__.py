"""The object store and its keys."""
