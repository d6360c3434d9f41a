"""detectron2's models, on small networks with random weights that the tests make and admit."""

import importlib
import importlib.util
import io
import pickle
from pathlib import Path

import numpy as np
import pytest

from smart_filter_shared.errors import ModelNotLoaded, ParameterRefused
from smart_filter_shared.parameters import Parameters
from smart_filter_tests.pictures import ODD_SIZES, noise, prepared
from smart_filter_tests.small_detectron2 import BASES, SMALL, Made, random_arrays
from smart_filter_tests.threads import at_once
from smart_filter_workers.networks.detectron2 import admission, shelf
from smart_filter_workers.results import Prepared
from smart_filter_workers.stages.face.models import detectron2_faces
from smart_filter_workers.stages.segmentation.models import detectron2
from smart_filter_workers.stages.segmentation.models.base import People

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("detectron2") is None,
        reason="detectron2 is not installed: docs/detectron2.md says how",
    ),
    # torch's and detectron2's own, about each other.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
def cut_out(made: Made) -> detectron2.Detectron2:
    return detectron2.load(made.folder)


def test_instances_are_told_apart(made: Made, cut_out: detectron2.Detectron2) -> None:
    photo = prepared(noise(120, 160))

    (people,) = cut_out([photo], parameters=made.parameters())

    assert people.persons
    assert people.matte.shape == (120, 160)
    assert people.matte.dtype == np.uint8
    assert np.array_equal(sum(person.astype(np.int64) for person in people.persons), people.matte)


@pytest.mark.parametrize("option", ["threshold", "least_share"])
def test_option_that_no_instance_meets_leaves_none(
    made: Made, cut_out: detectron2.Detectron2, option: str
) -> None:
    given = made.parameters(**{option: 1.0})

    (people,) = cut_out([prepared(noise(120, 160))], parameters=given)

    assert people.persons == ()
    assert not people.matte.any()


def test_options_of_one_call_do_not_stay(made: Made, cut_out: detectron2.Detectron2) -> None:
    photo = prepared(noise(120, 160))
    (before,) = cut_out([photo], parameters=made.parameters())

    cut_out([photo], parameters=made.parameters(threshold=0.9, most=1, overlap=0.1, short_side=64))

    (after,) = cut_out([photo], parameters=made.parameters())
    assert np.array_equal(before.matte, after.matte)


def test_most_instances_are_what_was_asked(made: Made, cut_out: detectron2.Detectron2) -> None:
    (people,) = cut_out([prepared(noise(120, 160))], parameters=made.parameters(most=1))

    assert people.persons is not None
    assert len(people.persons) == 1


def test_panoptic_model_answers_persons_and_areas(
    made: Made, cut_out: detectron2.Detectron2
) -> None:
    photo = prepared(noise(120, 160))

    (persons,) = cut_out([photo], parameters=made.parameters("panoptic"))
    (areas,) = cut_out([photo], parameters=made.parameters("panoptic", classes="sky,sea"))

    assert persons.persons
    assert areas.persons is None


def test_semantic_model_colours_every_pixel(made: Made, cut_out: detectron2.Detectron2) -> None:
    given = made.parameters("semantic", classes="things,sky,sea")

    (people,) = cut_out([prepared(noise(120, 160))], parameters=given)

    assert people.persons is None
    assert (people.matte == 255).all()


@pytest.mark.parametrize("kind", list(BASES))
@pytest.mark.parametrize("size", ODD_SIZES, ids=str)
def test_any_size_gives_a_matte_of_the_proxys_size(
    made: Made, cut_out: detectron2.Detectron2, size: tuple[int, int], kind: str
) -> None:
    photo = prepared(noise(*size))

    (people,) = cut_out([photo], parameters=_any_class(made, kind))

    assert people.matte.shape == photo.proxy_srgb.shape[:2]


@pytest.mark.parametrize("kind", list(BASES))
def test_batch_gives_what_one_by_one_gives(
    made: Made, cut_out: detectron2.Detectron2, kind: str
) -> None:
    batch = [prepared(noise(*size)) for size in ((120, 160), (160, 120), (118, 158), (90, 90))]
    given = _any_class(made, kind)

    together = cut_out(batch, parameters=given)

    for people, photo in zip(together, batch, strict=True):
        (alone,) = cut_out([photo], parameters=given)
        assert np.array_equal(people.matte, alone.matte)


def test_four_threads_with_other_options_give_the_same(
    made: Made, cut_out: detectron2.Detectron2
) -> None:
    photo = prepared(noise(120, 160))
    all_given = [made.parameters(threshold=threshold) for threshold in (0.3, 0.6)]
    expected = [_matte(cut_out, photo, given) for given in all_given]

    found = at_once(4, lambda: [_matte(cut_out, photo, given) for given in all_given])

    assert all(
        np.array_equal(matte, right)
        for mattes in found
        for matte, right in zip(mattes, expected, strict=True)
    )


def test_unknown_class_is_refused_and_nothing_prepared_gives_no_answers(
    made: Made, cut_out: detectron2.Detectron2
) -> None:
    with pytest.raises(ParameterRefused, match="knows no class unicorn"):
        cut_out([prepared(noise(9, 9))], parameters=made.parameters(classes="unicorn"))
    assert cut_out([], parameters=made.parameters()) == []


def test_configuration_without_weights_is_left_to_another_worker(
    cut_out: detectron2.Detectron2,
) -> None:
    given = detectron2.CARD.completed({"entry": detectron2.DEFAULT})

    with pytest.raises(ModelNotLoaded, match="no weights for COCO"):
        cut_out([prepared(noise(9, 9))], parameters=given)


def test_faces_have_boxes_in_the_picture_and_landmarks_in_the_boxes(
    tmp_path: Path,
) -> None:
    config = tmp_path / "faces.yaml"
    config.write_text(SMALL.format(base="Base-RCNN-FPN.yaml", masks="false"))
    address = admission.admit_config(config, tmp_path, names=("face", "mask"))
    stream = io.BytesIO()
    pickle.dump({"model": random_arrays(address, tmp_path)}, stream, protocol=2)
    (tmp_path / "faces.pkl").write_bytes(stream.getvalue())
    admission.admit_weights(tmp_path / "faces.pkl", tmp_path, config=address, kind=shelf.FACES)
    given = detectron2_faces.CARD.completed({"entry": address, "threshold": 0.3})

    detect = detectron2_faces.load(tmp_path)
    found = detect([noise(120, 160), noise(64, 64)], parameters=given)

    assert [len(faces) > 0 for faces in found] == [True, True]
    for face in found[0]:
        left, top, width, height = face.box
        assert 0 <= left <= left + width <= 160.01
        assert 0 <= top <= top + height <= 120.01
        assert all(left <= x <= left + width for x, _ in face.landmarks)
    assert detectron2.entries(tmp_path) == []


def _any_class(made: Made, kind: str) -> Parameters:
    return made.parameters(kind, classes="things" if kind == "semantic" else "person")


def _matte(
    cut_out: detectron2.Detectron2, photo: Prepared, given: Parameters
) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    people: People = cut_out([photo], parameters=given)[0]
    return people.matte
