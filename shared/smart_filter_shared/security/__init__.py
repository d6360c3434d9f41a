"""Parsing of untrusted input and encryption of secrets.

Called by api, child_processes, config, deploy, recipe, stock, storage, training, webhooks, workers.
Calls nothing.
"""
