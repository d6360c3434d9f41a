import pytest

from smart_filter_shared.rating import SmileLevel
from smart_filter_shared.results import Face, Faces, Smile
from smart_filter_tests.pictures import noise, prepared_photo
from smart_filter_wire.findings import Eyes
from smart_filter_workers.stages.smile import stage
from smart_filter_workers.stages.smile.models.base import to_level
from smart_filter_workers.stages.smile.models.geometry import LEVEL_THRESHOLDS
from smart_filter_workers.stages.smile.models.iris import CUTS, DARK_CUTS
from smart_filter_workers.stages.smile.stage import Inputs


def test_level_is_derived_from_the_score() -> None:
    levels = [to_level(score, LEVEL_THRESHOLDS) for score in (0.0, 0.349, 0.35, 0.5, 0.65, 1.0)]

    assert levels == "none none mild moderate huge huge".split()


@pytest.mark.parametrize(
    ("in_the_dark", "likelihoods", "verdicts"),
    [(False, (0.1, 0.45, 0.9), [False, None, True]), (True, (0.0, 0.9, 0.999), [None, None, True])],
)
def test_eye_is_open_shut_or_unknown_and_never_shut_in_the_dark(
    likelihoods: tuple[float, ...], verdicts: list[bool | None], *, in_the_dark: bool
) -> None:
    cuts = DARK_CUTS if in_the_dark else CUTS

    assert [cuts.judge(likely) for likely in likelihoods] == verdicts


MODELS = {
    "smile": lambda views: [Smile(SmileLevel.NONE, view.face.box[0] / 100) for view in views],
    "eyes": lambda views: [Eyes(view.face.box[0] == 2, None) for view in views],
}


def test_each_face_gets_its_own_smile_and_eyes_in_order() -> None:
    batch = [_inputs(lefts=(1, 2)), _inputs(lefts=()), _inputs(lefts=(3,))]

    first, second, third = stage.run(MODELS, batch)

    assert [smile.score for smile in first.smiles] == [0.01, 0.02]
    assert [eyes.left_open for eyes in first.eyes] == [False, True]
    assert (second.smiles, second.eyes) == ((), ())
    assert [smile.score for smile in third.smiles] == [0.03]
    assert [len(smiles.qualities) for smiles in (first, second, third)] == [2, 0, 1]


def _inputs(*, lefts: tuple[int, ...]) -> Inputs:
    eye = (5.0, 5.0)
    faces = (
        Face(box=(float(left), 0.0, 8.0, 8.0), score=0.9, landmarks=(eye, eye, eye, eye, eye))
        for left in lefts
    )
    return Inputs(prepared_photo(noise(32, 64)), Faces(tuple(faces)))
