"""Build responses that several routes share: jobs, files, long polls and event streams.

Called by routes, removebg.
Calls shared, services, http, auth, presenters, schemas, submission, wire.
"""
