"""Read request bodies into spooled pictures and form fields, within limits.

Called by submission, routes, removebg, openapi, s3_folders, services.
Calls shared, http, problems, auth.
"""
