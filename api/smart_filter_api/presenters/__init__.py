"""Render database rows as the API's response documents.

Called by deploy, removebg, responses, routes, s3_folders, services.
Calls auth, http, problems, shared, wire.
"""
