"""The endpoints of the API, one module per resource.

Called by studio.
Calls shared, services, wire, http, schemas, auth, intake, responses.
"""
