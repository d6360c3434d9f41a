"""Turn an accepted request into a job or batch: recipe, admission, storage and rows.

Called by removebg, responses, routes, s3_folders.
Calls auth, http, intake, problems, schemas, services, shared, wire.
"""
