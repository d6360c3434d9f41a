"""Authenticate and authorize requests: API keys, sessions, CSRF, CORS and rate limits.

Called by deploy, http, presenters, removebg, responses, routes, s3_folders, schemas, services,
submission.
Calls shared, wire.
"""
