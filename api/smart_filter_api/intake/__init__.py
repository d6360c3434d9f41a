"""Read request bodies into spooled pictures and form fields, within limits.

Called by openapi, removebg, routes, s3_folders, services, submission.
Calls http, problems, shared.
"""
