"""Pictures equal their golden versions, and repeated runs give the same bytes."""

import numpy as np
import pytest

from smart_filter_tests import golden
from smart_filter_workers.backgrounds import colors
from smart_filter_workers.results import Floats, Srgb8

# Differences of OKLab; 0.02 is a just noticeable difference (Ottosson 2020; used by CSS Color 4).
NOTICED = 0.02
# Another machine may round differently: this share of the pixels may be above it.
MAY_DIFFER = 0.001
MEAN = 0.002


@pytest.mark.parametrize("name", golden.RECIPES)
def test_picture_equals_its_golden_version(name: str) -> None:
    [image] = golden.render([golden.job(golden.RECIPES[name])])

    seen, kept = golden.pixels(image.content), golden.read(name)
    assert seen.shape == kept.shape
    apart = difference(seen, kept)
    assert (apart > NOTICED).mean() <= MAY_DIFFER, "make golden, look at it, and commit it"
    assert apart.mean() <= MEAN


def test_batch_makes_the_same_bytes_as_each_job_alone() -> None:
    jobs = [golden.job(fields) for fields in golden.RECIPES.values()]

    together = [image.content for image in golden.render(jobs)]

    assert together == [golden.render([job])[0].content for job in jobs]


def difference(one: Srgb8, other: Srgb8) -> Floats:
    """Return the perceived difference of two pictures, (H, W), on a middle gray."""
    labs = [
        colors.linear_to_oklab(colors.srgb_to_linear(on_gray(picture))) for picture in (one, other)
    ]
    return np.asarray(np.linalg.norm(labs[0] - labs[1], axis=2), np.float32)


def on_gray(rgba: Srgb8) -> Floats:
    alpha = rgba[..., 3:].astype(np.float32) / 255
    return np.asarray(rgba[..., :3] * alpha + 128 * (1 - alpha), np.float32)
