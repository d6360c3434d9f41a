"""Turn an accepted request into a job or batch: recipe, admission, storage and rows.

Called by routes, s3_folders, removebg, responses.
Calls shared, intake, services, auth, wire, schemas, http, problems.
"""
