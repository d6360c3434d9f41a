"""Estimates of when a job ends, from the backlog and measured stage times.

Called by api, operations, workers.
Calls catalog, queue.
"""
