"""Measure how often `background=auto` replaces or keeps as a person would.

SMART_FILTER_EVAL_DATA=FOLDER PYTHONPATH=tests python -m benchmarks.replacement [WEIGHTS]

`replacement.json` labels 60 photos of the folder and 40 of the training photos in the folder
`train` next to it, by looking at them and nothing else. Replace: people are the subject, and
another background would lose nothing. Keep: the place, the game or the event is the subject, or
the people touch things that would be torn off.
"""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.edges_of_photos import VARIABLE
from benchmarks.stages import open_stages
from smart_filter_shared.config.paths import data_folder
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import BackgroundKind, Recipe
from smart_filter_workers import images
from smart_filter_workers.stages.composite import choose_background
from smart_filter_workers.stages.composite.stage import Inputs, read_people

LABELS: Final = Path(__file__).with_name("replacement.json")


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided for a labeled photo: keep or replace."""

    photo: str
    label: str
    decision: str
    reason: str

    @property
    def is_agreed(self) -> bool:
        """Whether the decision is the label."""
        return self.decision == self.label

    @property
    def is_torn(self) -> bool:
        """Whether people were torn out of a place that belongs to the photo."""
        return self.decision == "replace" != self.label


def decide_all(folder: Path, weights: Path) -> Iterator[Decision]:
    """Yield the decision for each labeled photo, with the models of a weights folder."""
    stages = open_stages(weights)
    for label, photos in json.loads(LABELS.read_text()).items():
        for photo in photos:
            decoded = images.decode((folder / photo).read_bytes())
            inputs = stages.make_inputs(decoded, StageName.COMPOSITE, Recipe())
            assert isinstance(inputs, Inputs)
            chosen = choose_background.resolve(
                inputs.recipe, read_people(inputs), seed=inputs.seed, collection=inputs.collection
            )
            decision = "keep" if chosen.kind == BackgroundKind.KEEP else "replace"
            yield Decision(photo, label, decision, chosen.reason)


def main(folder: Path, weights: Path) -> None:
    """Print how often the decision is the label, and the photos where it is not."""
    decisions = list(decide_all(folder, weights))
    for made in decisions:
        if not made.is_agreed:
            print(f"{made.photo}: {made.decision} instead of {made.label}: {made.reason}")
    for label in ("keep", "replace"):
        of_label = [made for made in decisions if made.label == label]
        print(f"{label}: {sum(made.is_agreed for made in of_label)} of {len(of_label)}")
    print(f"agreement: {sum(made.is_agreed for made in decisions) / len(decisions):.0%}")
    print(f"replaced though the place belongs: {sum(made.is_torn for made in decisions)}")


if __name__ == "__main__":
    given = [Path(argument) for argument in sys.argv[1:]]
    main(Path(os.environ[VARIABLE]), given[0] if given else data_folder() / "weights")
