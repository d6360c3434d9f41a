"""The job queue: states, leases, transitions, fair queueing, events and workers.

Called by api, deploy, eta, jobs, model_registry, operations, tenants, webhooks, workers.
Calls artifacts, db.
"""
