"""The endpoints of the API, one module per resource.

Called by deploy, studio.
Calls auth, http, intake, openapi, presenters, problems, responses, s3_folders, schemas, services,
shared, submission, wire.
"""
