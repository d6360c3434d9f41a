"""Claim stages, run them in batches, and complete or return them.

Called by maintenance.
Calls shared, artifacts, models, system, decoder, stages, stages.segmentation.
"""
