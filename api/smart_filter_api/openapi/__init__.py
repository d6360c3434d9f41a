"""Build the OpenAPI 3.1 document of the API from routes, bodies, links and examples.

Called by routes.
Calls intake, problems, schemas, shared, wire.
"""
