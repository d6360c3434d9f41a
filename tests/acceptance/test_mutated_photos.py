"""200 damaged photos: each gives a picture, or a clear failure.

Seeds that ever failed, in longer runs too, are kept in FAILED_ONCE; `mutants.mutant(seed, …)` makes
the photo again.
"""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import smart_filter_tests
from smart_filter_tests.mutants import Mutant, mutant, originals
from smart_filter_tests.patience import PATIENCE_SECONDS

SEEDS = range(200)
FAILED_ONCE = (555, 1474, 1510, 3992, 4603)
# In addition to the idle process. 50 megapixels of WebP with alpha need most: two canvases of
# libwebp, Pillow's picture and bytes, and ours, 3 to 4 bytes a pixel each.
MEMORY_BYTES = 1200 * 1024 * 1024
# Processor time, which does not depend on other load; 50 megapixels take two seconds.
SLOWEST_SECONDS = 20.0


@pytest.fixture(scope="module")
def mutants() -> dict[int, Mutant]:
    whole = originals()
    return {seed: mutant(seed, whole) for seed in (*SEEDS, *FAILED_ONCE)}


def test_mutants_give_a_picture_or_a_clear_failure_within_memory_and_time(
    mutants: dict[int, Mutant],
) -> None:
    whole = {-1 - number: content for number, content in enumerate(originals().values())}

    outcomes = decoded({**whole, **{seed: one.content for seed, one in mutants.items()}})

    of_whole, outcomes = outcomes[: len(whole)], outcomes[len(whole) :]
    assert {one["outcome"] for one in of_whole} == {"picture"}
    clear = {"picture", "image_unreadable", "image_too_large"}
    unclear = [
        describe(mutants, outcome) for outcome in outcomes if outcome["outcome"] not in clear
    ]
    slow = [
        describe(mutants, outcome)
        for outcome in outcomes
        if float(str(outcome["seconds"])) > SLOWEST_SECONDS
    ]
    assert not unclear
    assert not slow
    assert len(outcomes) == len(mutants), f"the process died after {outcomes[-1]}"
    assert {outcome["outcome"] for outcome in outcomes} == clear


def decoded(contents: dict[int, bytes]) -> list[dict[str, object]]:
    """Return the outcome of each photo in a memory-bounded process."""
    tests_folder = Path(smart_filter_tests.__file__).parents[1]
    ended = subprocess.run(
        [sys.executable, "-m", "acceptance.bounded_decoder", str(MEMORY_BYTES)],
        input=pickle.dumps(list(contents.items())),
        stdout=subprocess.PIPE,
        timeout=PATIENCE_SECONDS,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tests_folder), *sys.path[1:]])},
        check=False,
    )
    return [json.loads(line) for line in ended.stdout.splitlines()]


def describe(mutants: dict[int, Mutant], outcome: dict[str, object]) -> str:
    one = mutants[int(str(outcome["seed"]))]
    return f"seed {one.seed}: {one.kind} with {one.story}: {outcome}"
