"""Logs, metrics and traces of the processes.

Called by api, deploy, jobs, operations, tenants, workers.
Calls nothing.
"""
