"""Several installations behind one front: which is a tenant's, and the way there (docs/decisions/0011)."""
