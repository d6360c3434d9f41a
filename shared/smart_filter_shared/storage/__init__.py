"""The object store and its keys.

Called by api, artifacts, deploy, operations, stock, workers.
Calls config, security.
"""
