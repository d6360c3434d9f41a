"""Statistics, issues, consistency checks and bulk changes for operators.

Called by api, deploy, workers.
Calls queue, tenants, db, eta, artifacts, storage, telemetry, jobs.
"""
