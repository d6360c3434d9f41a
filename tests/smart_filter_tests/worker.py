"""The tests' own `smart-filter worker`: the product's, with models that misbehave."""

import datetime as dt
import sys
from types import MappingProxyType
from typing import Final

import time_machine

from smart_filter_deploy import wiring
from smart_filter_shared.config import settings
from smart_filter_shared.pipeline import StageName
from smart_filter_tests import faults, trainable_model
from smart_filter_tests.faults import exhausts, gathers, hangs, kills, raises

# A worker that starts takes one of these files, if there is one, and its clock is wrong from then.
WRONG_CLOCKS: Final = MappingProxyType(
    {"clock-ahead": dt.timedelta(minutes=5), "clock-behind": dt.timedelta(minutes=-5)}
)


def take_wrong_clock() -> None:
    for name, error in WRONG_CLOCKS.items():
        try:
            faults.flag(name).unlink()
        except FileNotFoundError:
            continue
        time_machine.travel(dt.datetime.now(dt.UTC) + error, tick=True).start()
        return


if __name__ == "__main__":
    take_wrong_clock()
    stages, threads = sys.argv[1], sys.argv[2]
    wiring.serve_worker(
        settings.load(),
        stages=[StageName(stage) for stage in stages.split(",")],
        threads=int(threads),
        extra_models=[exhausts, gathers, hangs, kills, raises, trainable_model],
    )
