"""Webhook endpoints, their signatures, and the outbox of deliveries."""
