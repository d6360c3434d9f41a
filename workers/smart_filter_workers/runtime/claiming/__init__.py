"""Claim tasks for the threads of a worker: batches, queues, memory, shares.

Called by runtime.
Calls shared, decoder, stages.segmentation, system.
"""
