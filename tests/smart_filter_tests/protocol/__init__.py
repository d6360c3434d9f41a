"""The protocol of leases and retries as a model: explored completely, replayed on PostgreSQL."""
