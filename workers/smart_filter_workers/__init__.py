"""The hands: Celery workers, the stages they run, and what those need."""
