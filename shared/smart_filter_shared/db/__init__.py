"""Tables, sessions and migrations.

Called by api, artifacts, deploy, feedback, jobs, model_registry, operations, queue, stock, tenants,
webhooks, workers.
Calls config.
"""
