"""Build responses that several routes share: jobs, files, long polls and event streams.

Called by removebg, routes.
Calls auth, http, presenters, problems, schemas, services, shared, submission, wire.
"""
