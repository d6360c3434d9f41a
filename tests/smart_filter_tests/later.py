"""A time until which a submitted job waits, so that a test finds it unfinished."""

import datetime as dt


def next_week() -> str:
    """Return a moment that `run_at` accepts, as the API writes it."""
    moment = dt.datetime.now(dt.UTC) + dt.timedelta(days=7)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
