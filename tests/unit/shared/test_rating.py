import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_filter_shared.rating import LEVEL_WEIGHTS, SmileLevel, rate
from smart_filter_wire.findings import Eyes

PAIRS = st.builds(Eyes, *[st.sampled_from([True, False, None])] * 2)


def test_rating_is_the_documented_formula() -> None:
    rating = rate([SmileLevel.HUGE, SmileLevel.NONE], [Eyes(True, True), Eyes(None, True)])

    assert rating.avg_smiling_score == pytest.approx(0.6)
    assert rating.open_eye_ratio == pytest.approx(0.75)
    assert rating.score == pytest.approx(0.8 * 0.6 + 0.2 * 0.75)


@pytest.mark.parametrize(
    ("eyes", "points", "score"),
    [
        (Eyes(True, True), 100, 1.0),
        (Eyes(None, None), 100, 0.8),
        (Eyes(None, True), 100, 0.9),
        (Eyes(False, None), 80, 0.8),
        (Eyes(False, False), 80, 0.8),
    ],
)
def test_unknown_eye_lowers_the_formula_and_not_the_shown_points(
    eyes: Eyes, points: int, score: float
) -> None:
    rating = rate([SmileLevel.HUGE], [eyes])

    assert (rating.points, rating.score) == (points, pytest.approx(score))


def test_weights_equal_those_of_the_field() -> None:
    assert dict(LEVEL_WEIGHTS) == {"none": 0.2, "mild": 0.5, "moderate": 0.7, "huge": 1.0}


@given(st.lists(st.tuples(st.sampled_from(SmileLevel), PAIRS), min_size=1))
def test_rating_lies_between_zero_and_one(faces: list[tuple[SmileLevel, Eyes]]) -> None:
    rating = rate([level for level, _ in faces], [eyes for _, eyes in faces])

    assert 0 <= rating.score <= 1
    assert 0 <= rating.points <= 100


@pytest.mark.parametrize(("levels", "eyes"), [([], []), ([SmileLevel.MILD], [])])
def test_impossible_faces_are_refused(levels: list[SmileLevel], eyes: list[Eyes]) -> None:
    with pytest.raises(ValueError, match="cannot be rated"):
        rate(levels, eyes)
