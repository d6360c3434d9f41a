"""Render metrics as text, in the format that Prometheus scrapes, version 0.0.4.

Source: prometheus.io/docs/instrumenting/exposition_formats, "Text-based format".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from smart_filter_shared.telemetry.metrics import Metric

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_ESCAPED = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric.

    labels: values of the metric's labels, in the metric's order.
    suffix: `_sum`, `_count` or `_bucket`, for summaries and histograms.
    at_most: upper bound of a bucket.
    """

    value: float
    labels: tuple[str, ...] = ()
    suffix: str = ""
    at_most: str | None = None


def render(samples: Mapping[Metric, Iterable[Sample]]) -> str:
    """Return the text of every metric and its samples, including metrics without samples."""
    return "".join(f"{line}\n" for metric in samples for line in _lines(metric, samples[metric]))


def _lines(metric: Metric, samples: Iterable[Sample]) -> Iterable[str]:
    yield f"# HELP {metric.name} {metric.meaning}"
    yield f"# TYPE {metric.name} {metric.kind}"
    for sample in samples:
        pairs = list(zip(metric.labels, sample.labels, strict=True))
        if sample.at_most is not None:
            pairs.append(("le", sample.at_most))
        labels = ",".join(f'{name}="{value.translate(_ESCAPED)}"' for name, value in pairs)
        braced = f"{{{labels}}}" if labels else ""
        yield f"{metric.name}{sample.suffix}{braced} {sample.value!r}"
