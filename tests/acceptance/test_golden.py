"""Pictures come out as they came out when somebody last looked at them, and always the same."""

import numpy as np
import pytest
from numpy.typing import NDArray

from smart_filter_tests import golden
from smart_filter_workers.backgrounds import colours
from smart_filter_workers.results import Srgb8

# Differences of OKLab; 0.02 is what eyes just notice (Ottosson 2020; CSS Color 4 uses it).
NOTICED = 0.02
# Another machine rounds elsewhere: this share of the pixels may be beyond it.
MAY_DIFFER = 0.001
MEAN = 0.002


@pytest.mark.parametrize("name", golden.RECIPES)
def test_picture_is_as_it_was_when_it_was_looked_at(name: str) -> None:
    [image] = golden.made([golden.job(golden.RECIPES[name])])

    seen, kept = golden.pixels(image.content), golden.read(name)
    assert seen.shape == kept.shape
    apart = difference(seen, kept)
    assert (apart > NOTICED).mean() <= MAY_DIFFER, "make golden, look at it, and commit it"
    assert apart.mean() <= MEAN


def test_a_batch_makes_the_same_bytes_as_each_job_alone() -> None:
    jobs = [golden.job(fields) for fields in golden.RECIPES.values()]

    together = [image.content for image in golden.made(jobs)]

    assert together == [golden.made([job])[0].content for job in jobs]


def difference(one: Srgb8, other: Srgb8) -> NDArray[np.float32]:
    """Return how far apart two pictures look, (H, W), as they show on a middle grey."""
    labs = [colours.oklab(colours.linear(on_grey(picture))) for picture in (one, other)]
    return np.asarray(np.linalg.norm(labs[0] - labs[1], axis=2), np.float32)


def on_grey(rgba: Srgb8) -> NDArray[np.float32]:
    alpha = rgba[..., 3:].astype(np.float32) / 255
    return np.asarray(rgba[..., :3] * alpha + 128 * (1 - alpha), np.float32)
