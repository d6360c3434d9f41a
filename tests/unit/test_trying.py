"""How far weights that are tried agree with those that count; and that nobody waits for it."""

import numpy as np

from smart_filter_shared.cards import TaskName
from smart_filter_shared.rating import SmileLevel
from smart_filter_workers.learning import trying
from smart_filter_workers.results import Eyes, Face, Faces, Segmented, Smile, Smiles

LEFT = np.zeros((4, 8), np.uint8)
LEFT[:, :4] = 255
MIDDLE = np.roll(LEFT, 2, axis=1)
FACE = Face((0, 0, 4, 4), 0.9, ((1, 1),) * 5)


def test_mattes_are_compared_by_their_overlap() -> None:
    found = trying.agreement(
        TaskName.SEGMENTATION, Segmented(LEFT, 0.5, None), Segmented(MIDDLE, 0.25, None)
    )

    assert found == {"iou": 8 / 24, "coverage": 0.25}


def test_smiles_are_compared_by_levels_and_scores() -> None:
    eyes = (Eyes(left_open=True, right_open=True),) * 2
    counted = Smiles((Smile(SmileLevel.HUGE, 0.75), Smile(SmileLevel.NONE, 0.125)), eyes)
    tried = Smiles((Smile(SmileLevel.HUGE, 1.0), Smile(SmileLevel.MILD, 0.375)), eyes)

    assert trying.agreement(TaskName.SMILE, counted, tried) == {"level": 0.5, "score": 0.25}


def test_eyes_are_compared_one_by_one() -> None:
    smiles = (Smile(SmileLevel.NONE, 0.1),) * 2
    counted = Smiles(smiles, (Eyes(left_open=True, right_open=None), Eyes(True, False)))
    tried = Smiles(smiles, (Eyes(left_open=True, right_open=False), Eyes(True, False)))

    assert trying.agreement(TaskName.EYES, counted, tried) == {"eyes": 0.75}


def test_faces_are_compared_by_their_number_and_smiles_only_with_faces() -> None:
    assert trying.agreement(TaskName.FACE, Faces((FACE,)), Faces(())) == {"faces": 0.0}
    assert trying.agreement(TaskName.SMILE, Smiles((), ()), Smiles((), ())) is None
