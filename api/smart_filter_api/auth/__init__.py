"""Authenticate and authorize requests: API keys, sessions, CSRF, CORS and rate limits.

Called by routes, services, submission, deploy, removebg, responses, http.
Calls shared, wire.
"""
