"""The reference of the API as a page, on which requests can be sent to this server.

Called by modules above.
Calls http, shared.
"""
