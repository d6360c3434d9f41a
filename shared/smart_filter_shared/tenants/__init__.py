"""Quotas, usage and settings of tenants."""
