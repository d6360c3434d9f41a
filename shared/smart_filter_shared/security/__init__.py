"""Parsing of untrusted input and encryption of secrets."""
