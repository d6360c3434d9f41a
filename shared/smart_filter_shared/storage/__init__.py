"""Bytes: one object store, and the keys under which things lie in it."""
