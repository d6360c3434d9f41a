"""Parsing of untrusted input and encryption of secrets.

Called by api, workers, deploy, recipe, config, child_processes, smart_filter, stock.
Calls nothing of the service.
"""
