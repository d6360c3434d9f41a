"""Decisions of `background=auto` on the labeled photos, with and without the optional weights."""

import os
from pathlib import Path

import pytest
from benchmarks import replacement
from benchmarks.edges_of_photos import VARIABLE

from smart_filter_shared.config.paths import data_folder
from smart_filter_workers.networks.coverage import isnet

PHOTOS = Path(os.environ.get(VARIABLE, "photos that are not there"))
OPTIONAL = data_folder() / "weights" / isnet.WEIGHTS.name

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        not PHOTOS.is_dir(),
        reason=f"the labeled photos have no free license; {VARIABLE} names their folder",
    ),
    pytest.mark.skipif(
        not OPTIONAL.exists(), reason="isnet is optional, 88 MB: `smart-filter models pull --all`"
    ),
]


def test_better_weights_make_no_decision_worse(tmp_path: Path) -> None:
    for file in OPTIONAL.parent.iterdir():
        if file != OPTIONAL:
            (tmp_path / file.name).symlink_to(file)

    without = {made.photo: made for made in replacement.decide_all(PHOTOS, tmp_path)}
    better = {made.photo: made for made in replacement.decide_all(PHOTOS, OPTIONAL.parent)}

    worse = [
        (photo, made.decision, made.reason)
        for photo, made in better.items()
        if (made.is_torn and not without[photo].is_torn)
        or (without[photo].is_agreed and not made.is_agreed)
    ]
    assert not worse
    assert len(better) == 100
