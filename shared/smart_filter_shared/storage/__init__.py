"""The object store and its keys.

Called by workers, api, deploy, artifacts, operations, stock.
Calls config, security.
"""
