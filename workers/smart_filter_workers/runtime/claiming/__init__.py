"""Claim tasks for the threads of a worker: batches, queues, memory, shares."""
