"""Stored files of jobs: uploads, references, the result cache, expiry and retention.

Called by api, deploy, feedback, jobs, operations, queue, tenants, workers.
Calls db, storage.
"""
