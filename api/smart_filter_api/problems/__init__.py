"""Problem documents (RFC 9457): the table of codes, their pages and their responses.

Called by routes, intake, openapi, http, submission,
presenters.
Calls shared, wire.
"""
