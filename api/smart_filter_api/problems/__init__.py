"""Problem documents (RFC 9457): the table of codes, their pages and their responses.

Called by http, intake, openapi, presenters, removebg, responses, routes, s3_folders, services,
submission.
Calls shared, wire.
"""
