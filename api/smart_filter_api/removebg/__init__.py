"""A remove.bg v1.0 compatible interface, on the same queue as all other jobs.

Called by app.
Calls shared, intake, auth, responses, services, submission, http, wire.
"""
