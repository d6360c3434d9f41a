"""Pydantic models of requests and responses, from which the OpenAPI document is built.

One module per resource.

Called by deploy, openapi, responses, routes, services, submission.
Calls auth, http, shared, wire.
"""
