"""The page about metrics: the table that /metrics shows, as people read it."""

from smart_filter_docs.markdown import code, sections, table
from smart_filter_shared.telemetry.metrics import METRICS


def page() -> str:
    """Return the page."""
    rows = [
        (
            code(metric.name),
            str(metric.kind),
            metric.unit,
            ", ".join(code(label) for label in metric.labels),
            metric.meaning,
        )
        for metric in METRICS
    ]
    return sections(
        "# Metrics",
        "What `GET /metrics` shows to Prometheus, without a key. What workers do is added up in the"
        " database: it survives restarts, and a scrape of any API process sees all workers. No"
        " label holds a tenant, a job or a key.",
        table(("metric", "kind", "unit", "labels", "meaning"), rows),
    )
