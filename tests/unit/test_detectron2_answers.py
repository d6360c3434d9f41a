import numpy as np
import pytest
from numpy.typing import NDArray

from smart_filter_shared.errors import ParameterRefused, SetupFailed
from smart_filter_workers.networks.detectron2 import zoo
from smart_filter_workers.networks.detectron2.building import Classes
from smart_filter_workers.networks.detectron2.predictor import Instance, Options, Seen, input_size
from smart_filter_workers.networks.usual_landmarks import landmarks_of
from smart_filter_workers.stages.segmentation.models import detectron2

COCO = Classes(things=("person", "dog"), stuff=("things", "sky"))
GREY = np.full((100, 200, 3), 128, np.uint8)


def outline(columns: slice) -> NDArray[np.bool_]:
    made = np.zeros(GREY.shape[:2], np.bool_)
    made[10:90, columns] = True
    return made


def person(columns: slice) -> Instance:
    box = (float(columns.start), 10.0, float(columns.stop), 90.0)
    return Instance("person", 0.9, box, outline(columns))


LEFT, RIGHT, NARROW = person(slice(10, 80)), person(slice(120, 190)), person(slice(150, 160))


def test_persons_stand_from_left_to_right_and_add_up_to_the_matte() -> None:
    people = detectron2.people_of(Seen((RIGHT, LEFT), {}), GREY, least_share=0.1, counts=True)

    left, right = people.persons
    assert (left[50, 40], left[50, 150]) == (255, 0)
    assert (right[50, 40], right[50, 150]) == (0, 255)
    assert np.array_equal(left + right, people.matte)


@pytest.mark.parametrize(
    ("persons", "least_share", "count", "narrow"),
    [
        ((LEFT, NARROW), 0.1, 1, 0),
        ((LEFT, NARROW), 0, 2, 255),
        # More than a byte can number.
        (
            tuple(person(slice(column % 200, column % 200 + 1)) for column in range(300)),
            0,
            255,
            255,
        ),
        ((), 0, 0, 0),
    ],
    ids=["below the least share", "any share", "too many", "nobody"],
)
def test_instances_are_counted_up_to_a_byte_and_from_a_share(
    persons: tuple[Instance, ...], least_share: float, count: int, narrow: int
) -> None:
    people = detectron2.people_of(Seen(persons, {}), GREY, least_share=least_share, counts=True)

    assert len(people.persons) == count
    assert people.matte.shape == (100, 200)
    assert people.matte.any() == (count > 0)
    assert people.matte[50, 155] == narrow


@pytest.mark.parametrize("counts", [True, False])
def test_area_that_is_not_counted_is_in_the_matte_alone(*, counts: bool) -> None:
    seen = Seen((LEFT,) if counts else (), {"sky": outline(slice(120, 190))})

    people = detectron2.people_of(seen, GREY, least_share=0.1, counts=counts)

    assert people.matte[50, 150] == 255
    assert [one[50, 150] for one in people.persons or ()] == ([0] if counts else [])
    assert (people.persons is None) == (not counts)


def test_person_has_the_name_of_the_data_set() -> None:
    lvis = Classes(things=("baby", "dog"), stuff=())
    entry = "LVISv0.5-InstanceSegmentation/mask_rcnn_R_50_FPN_1x"

    assert detectron2.wanted_of("person", entry, lvis) == ["baby"]


@pytest.mark.parametrize("names", ["", " , ", "people", "person,unicorn"])
def test_unknown_class_is_refused_with_the_known_ones(names: str) -> None:
    with pytest.raises(ParameterRefused, match="it knows dog, person, sky, things"):
        detectron2.wanted_of(names, "sha256:0", COCO)


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({}, Options(threshold=0.7)),  # 0 is the configuration's own value
        (
            {"threshold": 0.3, "short_side": 8, "most": 5, "overlap": 0.25},
            Options(threshold=0.3, short_side_px=32, most=5, overlap=0.25),
        ),
    ],
    ids=["defaults", "all"],
)
def test_scalars_are_passed_on(given: dict[str, float], options: Options) -> None:
    assert detectron2.options_of(detectron2.CARD.completed(given)) == options


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 480), (1067, 800)),
        ((480, 640), (800, 1067)),
        ((2000, 500), (1333, 333)),
        ((1, 3000), (1, 1333)),
        ((1, 1), (800, 800)),
    ],
)
def test_input_has_the_short_side_unless_the_long_one_is_too_long(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert input_size(*size, short_side_px=800, long_side_px=1333) == expected


@pytest.mark.parametrize(
    "name", ["", "a", "../Base-RCNN-FPN", "COCO-Detection/retinanet_R_50_FPN_3x"]
)
def test_name_that_is_not_on_the_list_is_refused(name: str) -> None:
    assert zoo.find(detectron2.DEFAULT).makes == zoo.Makes.INSTANCE
    with pytest.raises(SetupFailed, match="no configuration of the zoo"):
        zoo.find(name)


def test_usual_landmarks_are_the_persons_own_right_and_left() -> None:
    right_eye, left_eye, nose, right_mouth, left_mouth = landmarks_of((10, 20, 100, 200))

    assert right_eye[0] < nose[0] < left_eye[0]
    assert right_mouth[0] < nose[0] < left_mouth[0]
    assert right_eye[1] == left_eye[1] < nose[1] < right_mouth[1] == left_mouth[1] < 220
