"""A remove.bg v1.0 compatible interface, on the same queue as all other jobs.

Called by modules above.
Calls auth, http, intake, presenters, problems, responses, services, shared, submission, wire.
"""
