"""Claim stages, run them in batches, and complete or return them.

Called by maintenance.
Calls artifacts, decoder, models, shared, stages, system.
"""
