"""Measure how often `background=auto` replaces, blurs or keeps as a person would.

SMART_FILTER_EVAL_DATA=FOLDER PYTHONPATH=tests python -m benchmarks.replacement

`replacement.json` labels 60 photos of the folder, by looking at them and nothing else. Replace:
people are the subject, and another background would lose nothing. Blur: they are the subject, but
touch things that would be torn off. Keep: the place, the game or the event is the subject.
"""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Final

from benchmarks.edges_of_photos import VARIABLE
from benchmarks.one_process import OneProcess
from smart_filter_shared.config.paths import data_folder
from smart_filter_shared.recipe import BackgroundKind

LABELS: Final = Path(__file__).with_name("replacement.json")
DECISIONS: Final = {BackgroundKind.KEEP: "keep", BackgroundKind.BLUR: "blur"}


def main(folder: Path) -> None:
    """Print how often the decision is the label, and the photos where it is not."""
    stages = OneProcess(data_folder() / "weights")
    agreed: Counter[str] = Counter()
    labels = json.loads(LABELS.read_text())
    for label, photos in labels.items():
        for photo in photos:
            chosen = stages.composite((folder / photo).read_bytes(), seed=1).background
            assert chosen is not None
            decision = DECISIONS.get(BackgroundKind(chosen.kind), "replace")
            agreed[label] += decision == label
            if decision != label:
                print(f"{photo}: {decision} instead of {label}: {chosen.reason}")
    for label, photos in labels.items():
        print(f"{label}: {agreed[label]} of {len(photos)}")
    print(f"agreement: {agreed.total() / sum(map(len, labels.values())):.0%}")


if __name__ == "__main__":
    main(Path(os.environ[VARIABLE]))
