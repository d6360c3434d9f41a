import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_filter_shared.rating import LEVEL_WEIGHTS, SmileLevel, rate


def test_rating_is_the_documented_formula() -> None:
    rating = rate([SmileLevel.HUGE, SmileLevel.NONE], open_eyes=3)

    assert rating.avg_smiling_score == pytest.approx(0.6)
    assert rating.open_eye_ratio == pytest.approx(0.75)
    assert rating.score == pytest.approx(0.8 * 0.6 + 0.2 * 0.75)


def test_weights_equal_those_of_the_field() -> None:
    assert dict(LEVEL_WEIGHTS) == {"none": 0.2, "mild": 0.5, "moderate": 0.7, "huge": 1.0}


@given(st.lists(st.sampled_from(SmileLevel), min_size=1), st.data())
def test_rating_lies_between_zero_and_one(levels: list[SmileLevel], data: st.DataObject) -> None:
    open_eyes = data.draw(st.integers(0, 2 * len(levels)))

    assert 0 <= rate(levels, open_eyes).score <= 1


@pytest.mark.parametrize(("levels", "open_eyes"), [([], 0), ([SmileLevel.MILD], 3)])
def test_impossible_faces_are_refused(levels: list[SmileLevel], open_eyes: int) -> None:
    with pytest.raises(ValueError, match="cannot be rated"):
        rate(levels, open_eyes)
