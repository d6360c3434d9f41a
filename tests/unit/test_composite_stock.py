"""Pictures of the stock behind people, in the composite stage."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from smart_filter_shared.errors import ImageUnreadable, InputsExpired
from smart_filter_shared.presets import PICTURE, Mood, Preset
from smart_filter_shared.recipe import Format
from smart_filter_tests.compositing import INSIDE, OUTSIDE, a_job, made, pixels
from smart_filter_workers.backgrounds.collection import Collection
from smart_filter_workers.backgrounds.sources.generated import Generated
from smart_filter_workers.backgrounds.sources.stock import Stock
from smart_filter_workers.results import Srgb8
from smart_filter_workers.stages.composite.inputs import Inputs
from smart_filter_workers.stages.composite.look import NOTHING

LOBBY = Preset(
    name="site/lobby",
    title="The lobby",
    family=PICTURE,
    tags=("lobby", "zirconium"),
    moods=tuple(Mood),
    palette=("#0a50f0",),
    brightness=0.31,
)


def blue(name: str) -> Srgb8:
    del name
    return np.full((40, 30, 3), (10, 80, 240), np.uint8)


def expired(name: str) -> Srgb8:
    raise InputsExpired(f"the background {name} is not there any more")


def unreadable(name: str) -> Srgb8:
    raise ImageUnreadable(f"the background {name}: truncated")


def a_job_with(load: Callable[[str], Srgb8], background: str) -> Inputs:
    collection = Collection((Generated(), Stock((LOBBY,), load)))
    return replace(a_job(background, format=Format.PNG), collection=collection)


@pytest.mark.parametrize("background", ["preset:site/lobby", "keywords:zirconium"])
def test_picture_stands_behind_the_people(background: str) -> None:
    inputs = a_job_with(blue, background)
    inputs = replace(inputs, recipe=replace(inputs.recipe, look=NOTHING))

    result = made(inputs)

    assert (result.background.name, result.background.kind) == ("site/lobby", "preset")
    assert "The lobby" in result.background.reason
    seen = pixels(result.image)
    assert (seen[OUTSIDE] == [10, 80, 240]).all()
    assert np.array_equal(seen[INSIDE], inputs.photo.srgb[INSIDE])


@pytest.mark.parametrize(
    ("load", "error"), [(expired, InputsExpired), (unreadable, ImageUnreadable)]
)
def test_picture_that_was_asked_for_by_name_and_is_gone_fails_plainly(
    load: Callable[[str], Srgb8], error: type[Exception]
) -> None:
    with pytest.raises(error, match="site/lobby"):
        made(a_job_with(load, "preset:site/lobby"))


@pytest.mark.parametrize("load", [expired, unreadable])
@pytest.mark.parametrize("background", ["keywords:zirconium", "auto"])
def test_picture_that_was_chosen_and_is_gone_is_passed_over(
    load: Callable[[str], Srgb8], background: str
) -> None:
    result = made(a_job_with(load, background))

    assert result.background.name != "site/lobby"
