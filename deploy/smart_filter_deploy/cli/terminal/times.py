"""Formats moments in UTC, to the second."""

import datetime as dt


def format_utc(moment: dt.datetime) -> str:
    """Return a moment in RFC 3339 form, such as 2026-11-20T09:30:00Z."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
