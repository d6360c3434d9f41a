"""Make the page about metrics: the metrics of /metrics as a table."""

from collections.abc import Iterable

from smart_filter_docs.markdown import code, sections, table
from smart_filter_shared.telemetry.metrics import LIVE_METRICS, METRICS, Metric


def page() -> str:
    """Return the page."""
    return sections(
        "# Metrics",
        "`GET /metrics` of the operators' port serves these metrics to Prometheus, without a key."
        " Counts of workers are added up in the database: they survive restarts, and a scrape of"
        " any API process sees all workers. No label contains a tenant, a job or a key.",
        _table(METRICS),
        "## Live video",
        "Each live worker serves its own metrics since its start at its own operators' port.",
        _table(LIVE_METRICS),
    )


def _table(metrics: Iterable[Metric]) -> str:
    rows = [
        (
            code(metric.name),
            str(metric.kind),
            ", ".join(code(label) for label in metric.labels),
            metric.meaning,
        )
        for metric in metrics
    ]
    return table(("metric", "kind", "labels", "meaning"), rows)
