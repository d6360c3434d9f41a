"""Webhook endpoints, their signatures, and the outbox of deliveries.

Called by api, workers, deploy.
Calls db, queue, security.
"""
