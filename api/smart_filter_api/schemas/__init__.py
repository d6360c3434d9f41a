"""Pydantic models of requests and responses, from which the OpenAPI document is built.

One module per resource.
"""
