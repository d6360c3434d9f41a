"""Metrics as text, the histogram of requests, and answers that may be a moment old."""

import anyio
import pytest

from smart_filter_api.latencies import Latencies
from smart_filter_api.remembered import Remembered
from smart_filter_shared.telemetry import exposition
from smart_filter_shared.telemetry.exposition import Sample
from smart_filter_shared.telemetry.metrics import METRICS, Kind, Metric

QUEUE = Metric("queue", Kind.GAUGE, "photos", ("name",), "How many wait.")


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_metric_is_written_with_its_meaning_kind_and_labels() -> None:
    told = exposition.text({QUEUE: [Sample(3, ("a",)), Sample(0.5, ("b",))]})

    assert told == (
        '# HELP queue How many wait.\n# TYPE queue gauge\nqueue{name="a"} 3\nqueue{name="b"} 0.5\n'
    )


def test_metric_without_samples_is_described_all_the_same() -> None:
    assert exposition.text({QUEUE: []}).count("\n") == 2


def test_labels_are_escaped() -> None:
    told = exposition.text({QUEUE: [Sample(1, ('a"b\\c\nd',))]})

    assert told.splitlines()[2] == r'queue{name="a\"b\\c\nd"} 1'


def test_sample_without_its_metrics_labels_is_a_fault() -> None:
    with pytest.raises(ValueError, match="zip"):
        exposition.text({QUEUE: [Sample(1)]})


def test_buckets_count_all_that_took_at_most_so_long() -> None:
    latencies = Latencies()
    for seconds in (0.001, 0.005, 0.3, 1000.0):
        latencies.observe("GET", "/", 200, seconds)

    samples = list(latencies.samples())

    buckets = {sample.at_most: sample.value for sample in samples if sample.suffix == "_bucket"}
    totals = {sample.suffix: sample.value for sample in samples if sample.suffix != "_bucket"}
    assert (buckets["0.005"], buckets["0.25"], buckets["0.5"]) == (2, 2, 3)
    assert (buckets["60.0"], buckets["+Inf"]) == (3, 4)
    assert totals == {"_sum": pytest.approx(1000.306), "_count": 4}


def test_methods_that_clients_invent_share_one_series() -> None:
    latencies = Latencies()
    for number in range(100):
        latencies.observe(f"BREW{number}", "none", 405, 0.1)

    assert {sample.labels for sample in latencies.samples()} == {("other", "none", "405")}


def test_names_say_kind_and_unit_as_prometheus_wants_it() -> None:
    for metric in METRICS:
        assert metric.name.startswith("smart_filter_")
        assert metric.name.endswith("_total") == (metric.kind == Kind.COUNTER)
        assert metric.name.endswith("_seconds") == (metric.unit == "seconds")


def test_no_metric_tells_tenants_or_jobs_apart() -> None:
    labels = {label for metric in METRICS for label in metric.labels}

    assert labels <= {"capability", "state", "step", "outcome", "method", "route", "status"}


def test_answer_is_asked_for_again_only_when_it_is_old() -> None:
    clock = Clock()
    asked = 0

    async def ask() -> int:
        nonlocal asked
        asked += 1
        return asked

    async def look() -> list[int]:
        remembered: Remembered[int] = Remembered(2, clock=clock)
        answers = [await remembered.get(ask)]
        for passed in (1.9, 0.2, 0):
            clock.seconds += passed
            answers.append(await remembered.get(ask))
        return answers

    assert anyio.run(look) == [1, 1, 2, 2]


def test_many_who_ask_at_once_wait_for_one_answer() -> None:
    asked = 0

    async def ask() -> int:
        nonlocal asked
        asked += 1
        await anyio.lowlevel.checkpoint()
        return asked

    async def look() -> None:
        remembered: Remembered[int] = Remembered(2, clock=Clock())
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(remembered.get, ask)

    anyio.run(look)

    assert asked == 1


def test_failure_is_not_remembered() -> None:
    async def fail() -> int:
        raise OSError

    async def succeed() -> int:
        return 7

    async def look() -> int:
        remembered: Remembered[int] = Remembered(2, clock=Clock())
        with pytest.raises(OSError):  # noqa: PT011 - it is this very one
            await remembered.get(fail)
        return await remembered.get(succeed)

    assert anyio.run(look) == 7
