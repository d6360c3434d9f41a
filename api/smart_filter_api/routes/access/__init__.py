"""Routes for who may do what: keys, sessions, sign-in, tenants, the audit log."""
