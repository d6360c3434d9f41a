"""A crowd that workers are started for: what must hold whatever the rule is."""

import re
from functools import cache
from pathlib import Path

import yaml

from capacity import autoscale, fleet
from capacity.autoscale import Rule, Spike

FIGURES = fleet.read()
FEW = 10  # photos
CHART = Path(__file__).parents[2] / "deploy" / "kubernetes"


@cache
def crowd(*, least: int, most: int) -> Spike:
    """Let forty times as many photos come for a quarter of a minute."""
    return autoscale.spike(
        FIGURES,
        "H100",
        Rule(8, least, most),
        rate=2,
        times=40,
        quiet_seconds=15,
        crowd_seconds=15,
        after_seconds=600,
    )


def test_workers_come_once_started_keep_within_bounds_and_lose_no_photo() -> None:
    spike = crowd(least=0, most=3)

    gpus = [moment.gpus for moment in spike.moments]
    assert (min(gpus), max(gpus), gpus[-1]) == (0, 3, 1)
    # Photos come from the beginning: the first look wants a worker.
    first = next(moment.at for moment in spike.moments if moment.gpus > 0)
    assert first == autoscale.LOOK_SECONDS + FIGURES.gpu_start_seconds
    # Photos of the last second may be under way.
    assert spike.arrived - len(spike.photos) < FEW
    assert spike.moments[-1].waiting < FEW


def test_ready_workers_keep_no_photo_waiting() -> None:
    ready, started = crowd(least=3, most=3), crowd(least=0, most=3)

    assert max(photo.seconds for photo in ready.photos) < 2
    assert ready.over_seconds == 0
    assert max(photo.seconds for photo in started.photos) > FIGURES.gpu_start_seconds


def test_more_workers_never_keep_a_crowd_longer() -> None:
    over = [crowd(least=0, most=most).over_seconds for most in (1, 3)]

    assert over == sorted(over, reverse=True)


def test_rules_are_those_of_the_chart() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    template = (CHART / "templates" / "workers.yaml").read_text()

    assert values["scaling"]["cooldownSeconds"] == autoscale.LOOK_BACK_SECONDS
    assert values["workers"]["rowsPerPod"] == autoscale.ROWS_PER_WORKER
    assert values["workers"]["maxReplicas"] == autoscale.MOST_WORKERS
    [(percent, seconds)] = re.findall(r"Percent, value: (\d+), periodSeconds: (\d+)", template)
    assert (int(percent) / 100, int(seconds)) == (
        autoscale.FEWER_SHARE,
        autoscale.FEWER_SECONDS,
    )
