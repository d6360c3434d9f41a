"""Quotas, usage and settings of tenants.

Called by api, deploy, operations, workers.
Calls artifacts, catalog, db, queue, telemetry, wire.
"""
