"""Smile: rate each face and read its eyes."""
