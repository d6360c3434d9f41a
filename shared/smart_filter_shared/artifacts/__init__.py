"""Stored files of jobs: uploads, references, the result cache, expiry and retention.

Called by api, workers, queue.transitions, feedback, jobs, deploy, operations, queue.
Calls db, storage.
"""
