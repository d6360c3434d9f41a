"""A background's own light falls from where the people's does."""

import numpy as np
import pytest

from smart_filter_shared.presets import PRESETS, Mood
from smart_filter_tests.sitting import feeling_of, some_sitters
from smart_filter_workers.backgrounds import library, side_light
from smart_filter_workers.backgrounds.choose import choose
from smart_filter_workers.results import Srgb8

BY_NAME = {preset.name: preset for preset in PRESETS}


def right_over_left(drawing: Srgb8) -> float:
    half = drawing.shape[1] // 2
    return float(drawing[:, -half:].mean() - drawing[:, :half].mean())


@pytest.mark.parametrize("light", [-0.9, 0.9])
@pytest.mark.parametrize("name", ["studio", "studio-green", "moonrise"])
def test_light_is_brought_to_the_side_of_the_peoples(name: str, light: float) -> None:
    drawing = library.draw(name, seed=4, width=80, height=100)
    assert abs(right_over_left(drawing)) > 2

    assert light * right_over_left(side_light.agreeing(drawing, light=light)) > 0


def test_uncertain_light_turns_nothing() -> None:
    drawing = library.draw("studio", seed=4, width=80, height=100)

    for light in (-0.3, 0.0, 0.3):
        assert np.array_equal(side_light.agreeing(drawing, light=light), drawing)


def test_a_narrow_picture_is_left_as_it_is() -> None:
    line = np.zeros((5, 1, 3), np.uint8)

    assert side_light.agreeing(line, light=1.0) is line


def test_the_reason_says_where_the_light_comes_from() -> None:
    def reason(name: str, light: float) -> str:
        lit = some_sitters(light=light)
        return choose(feeling_of(Mood.SERIOUS), lit, seed=0, among=[BY_NAME[name]]).reason

    assert reason("studio", -0.8).endswith("with light from the left as on them")
    assert reason("studio", 0.8).endswith("with light from the right as on them")
    assert "light from" not in reason("studio", 0.1)
    assert "light from" not in reason("graphite", 0.8)
