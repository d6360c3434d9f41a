"""Limits of one process on the work of all tenants and of each."""
