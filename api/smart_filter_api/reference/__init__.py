"""The reference of the API as a page, on which requests can be sent to this server.

Called by app.
Calls http, shared.
"""
