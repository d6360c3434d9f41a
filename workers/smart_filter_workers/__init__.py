"""Celery workers, and the stages that they run."""
