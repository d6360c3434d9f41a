"""Moments as an operator's commands tell them: in UTC, to the second."""

import datetime as dt


def told(moment: dt.datetime) -> str:
    """Return a moment as RFC 3339 writes it, such as 2026-11-20T09:30:00Z."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
