"""The tests' own `smart-filter worker`: the product's, with models that misbehave."""

import sys

from smart_filter_deploy import wiring
from smart_filter_shared.config import settings
from smart_filter_shared.pipeline import StageName
from smart_filter_tests import trainable_model
from smart_filter_tests.faults import gathers, hangs, kills, raises

if __name__ == "__main__":
    stages, threads = sys.argv[1], sys.argv[2]
    wiring.serve_worker(
        settings.load(),
        stages=[StageName(stage) for stage in stages.split(",")],
        threads=int(threads),
        extra_models=[gathers, hangs, kills, raises, trainable_model],
    )
