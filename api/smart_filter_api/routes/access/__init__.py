"""Routes for who may do what: keys, sessions, sign-in, tenants, the audit log.

Called by deploy.
Calls shared, auth, services, schemas, wire, http, problems, intake.
"""
