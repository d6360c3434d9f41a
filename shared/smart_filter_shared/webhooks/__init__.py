"""Webhook endpoints, their signatures, and the outbox of deliveries.

Called by api, deploy, workers.
Calls db, queue, security.
"""
