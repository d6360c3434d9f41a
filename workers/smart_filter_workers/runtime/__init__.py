"""Claim stages, run them in batches, and complete or return them."""
