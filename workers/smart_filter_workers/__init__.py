"""Celery workers, and the stages that they run.

Called by deploy, training.
Calls shared and wire, and never api.
"""
