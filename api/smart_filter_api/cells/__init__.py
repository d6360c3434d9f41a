"""Route each tenant's requests to its installation, called a cell (docs/decisions/0011)."""
