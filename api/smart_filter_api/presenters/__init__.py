"""Render database rows as the API's response documents.

Called by routes, responses, deploy, removebg, s3_folders, services.
Calls shared, wire, http, auth, problems.
"""
