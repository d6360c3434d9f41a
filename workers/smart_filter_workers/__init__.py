"""Celery workers, and the stages that they run.

Called by deploy, training.
Calls shared.
"""
