"""The camera of a drawn place: its horizon and floor fit the people."""

import numpy as np
import pytest

from smart_filter_shared.results import Face, Frame
from smart_filter_tests.composite_jobs import HEIGHT, WIDTH, a_job
from smart_filter_workers.backgrounds.sheet import DEFAULT_CAMERA
from smart_filter_workers.stages.composite import background
from smart_filter_workers.stages.composite.background import PeoplePhoto

WHOLE = Frame(WIDTH, HEIGHT, scale=1.0, left=0.0, top=0.0)
FACE = Face((110, 30, 12, 14), 0.9, ((113, 36), (119, 36), (116, 39), (114, 42), (118, 42)))


def a_photo(*, faces: tuple[Face, ...] = (), soles: int) -> PeoplePhoto:
    """Return a photo of a person from row 24 to `soles`, in pixels."""
    inputs = a_job()
    assert inputs.segmented is not None
    matte = np.zeros_like(inputs.segmented.matte)
    matte[12 : soles // 2, 40:80] = 255
    return PeoplePhoto(inputs.photo.srgb, inputs.prepared.proxy_srgb, faces, matte)


@pytest.mark.parametrize("faces", [(FACE,), ()])
@pytest.mark.parametrize("soles", [80, 140])
def test_wall_meets_the_floor_behind_people_who_stand(faces: tuple[Face, ...], soles: int) -> None:
    seen = background.estimate_camera(a_photo(faces=faces, soles=soles), WHOLE)

    assert seen.horizon * HEIGHT == pytest.approx(32, abs=5)
    assert seen.horizon * HEIGHT < seen.floor * HEIGHT < soles


def test_people_without_a_face_who_are_cut_off_get_the_usual_camera() -> None:
    seen = background.estimate_camera(a_photo(soles=HEIGHT), WHOLE)

    assert (seen.horizon, seen.floor) == (DEFAULT_CAMERA.horizon, DEFAULT_CAMERA.floor)
