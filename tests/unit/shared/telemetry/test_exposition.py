import pytest

from smart_filter_api.http.middleware import LatencyHistogram
from smart_filter_shared.telemetry import metrics
from smart_filter_shared.telemetry.metrics import Metric, MetricKind, Sample

QUEUE = Metric("queue", MetricKind.GAUGE, ("name",), "How many wait.")
HEAD = "# HELP queue How many wait.\n# TYPE queue gauge\n"


@pytest.mark.parametrize(
    ("samples", "written"),
    [
        ([], ""),
        ([Sample(3, ("a",)), Sample(0.5, ("b",))], 'queue{name="a"} 3\nqueue{name="b"} 0.5\n'),
        ([Sample(1, ('a"b\\c\nd',))], r'queue{name="a\"b\\c\nd"} 1' + "\n"),
    ],
    ids=["none", "two", "escaped"],
)
def test_metric_is_written_with_its_help_type_and_samples(
    samples: list[Sample], written: str
) -> None:
    assert metrics.render({QUEUE: samples}) == HEAD + written


def test_sample_without_its_metrics_labels_is_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        metrics.render({QUEUE: [Sample(1)]})


def test_bucket_counts_all_requests_up_to_its_bound() -> None:
    latencies = LatencyHistogram()
    for seconds in (0.001, 0.005, 0.3, 1000.0):
        latencies.observe("GET", "/", 200, seconds)

    samples = list(latencies.samples())

    buckets = {sample.at_most: sample.value for sample in samples if sample.suffix == "_bucket"}
    totals = {sample.suffix: sample.value for sample in samples if sample.suffix != "_bucket"}
    assert (buckets["0.005"], buckets["0.25"], buckets["0.5"]) == (2, 2, 3)
    assert (buckets["60.0"], buckets["+Inf"]) == (3, 4)
    assert totals == {"_sum": pytest.approx(1000.306), "_count": 4}


def test_methods_that_clients_invent_share_one_series() -> None:
    latencies = LatencyHistogram()
    for number in range(100):
        latencies.observe(f"BREW{number}", "none", 405, 0.1)

    assert {sample.labels for sample in latencies.samples()} == {("other", "none", "405")}
