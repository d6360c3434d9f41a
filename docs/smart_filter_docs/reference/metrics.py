"""The page about metrics: the table that /metrics shows, as people read it."""

from collections.abc import Iterable

from smart_filter_docs.markdown import code, sections, table
from smart_filter_shared.telemetry.metrics import LIVE_METRICS, METRICS, Metric


def page() -> str:
    """Return the page."""
    return sections(
        "# Metrics",
        "What `GET /metrics` shows to Prometheus, without a key. What workers do is added up in the"
        " database: it survives restarts, and a scrape of any API process sees all workers. No"
        " label holds a tenant, a job or a key.",
        _table(METRICS),
        "## Live video",
        "Each live worker shows its own, since it started, at its own `/metrics`.",
        _table(LIVE_METRICS),
    )


def _table(metrics: Iterable[Metric]) -> str:
    rows = [
        (
            code(metric.name),
            str(metric.kind),
            metric.unit,
            ", ".join(code(label) for label in metric.labels),
            metric.meaning,
        )
        for metric in metrics
    ]
    return table(("metric", "kind", "unit", "labels", "meaning"), rows)
