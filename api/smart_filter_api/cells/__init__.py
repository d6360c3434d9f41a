"""Several installations behind one front: whose is a tenant, and the way (docs/decisions/0011)."""
