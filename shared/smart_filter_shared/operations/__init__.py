"""Statistics, issues, consistency checks and bulk changes for operators.

Called by api, deploy, workers.
Calls artifacts, db, eta, jobs, model_registry, queue, storage, telemetry, tenants.
"""
