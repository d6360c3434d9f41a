"""Quotas, usage and settings of tenants.

Called by api, deploy, operations, workers.
Calls db, wire, artifacts, catalog, queue, telemetry.
"""
