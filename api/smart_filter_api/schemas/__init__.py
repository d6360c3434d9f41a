"""Pydantic models of requests and responses, from which the OpenAPI document is built.

One module per resource.

Called by routes, openapi, submission, responses, services.
Calls shared, wire, auth, http.
"""
