"""A face that smiles twice, as the models see it: two frames, at their peaks."""

from pathlib import Path

from smart_filter_tests import filming
from smart_filter_workers.live import film, frames, sight
from smart_filter_workers.live.shutter import Shutter, look_of

PEAKS = (1.3, 4.0)
FRAMES_A_SECOND = 6
# What the shutter is held to (docs/live.md).
NEAR_SECONDS = 0.3


def test_each_smile_of_a_clip_is_taken_once_at_its_peak(weights_folder: Path) -> None:
    models = sight.load(weights_folder, research=True)
    faces, shutter = film.Film(models), Shutter()

    taken = []
    for number, take in enumerate(filming.smiles(*PEAKS, seconds=5.5, fps=FRAMES_A_SECOND)):
        seen = faces.look(film.shot(frames.written(take.srgb)))
        look = look_of(seen.faces.faces, seen.smiles.smiles, seen.smiles.eyes)
        one = shutter.observe(number, look, at=take.at)
        taken += [] if one is None else [one.at]

    assert len(taken) == len(PEAKS)
    off = [abs(at - peak) for at, peak in zip(taken, PEAKS, strict=True)]
    assert max(off) <= NEAR_SECONDS
