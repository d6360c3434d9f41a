"""Claim tasks for the threads of a worker: batches, queues, memory, shares.

Called by modules above.
Calls decoder, shared, stages, system.
"""
