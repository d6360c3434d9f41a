"""Logs, metrics and traces of the processes.

Called by workers, api, deploy, operations, jobs, tenants.
Calls nothing of the service.
"""
