"""The job queue: states, leases, transitions, fair queueing, events and workers.

Called by api, workers, jobs, operations, deploy, eta, model_registry, tenants.
Calls db, artifacts.
"""
