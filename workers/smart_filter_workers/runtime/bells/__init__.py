"""Rings from Celery's broker, which start turns early, and Celery's events.

Called by modules above.
Calls shared.
"""
