"""What detectron2 sees becomes one matte, told apart; what is asked of it is checked."""

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


def test_persons_stand_from_left_to_right_and_add_up_to_the_matte() -> None:
    seen = Seen((person(slice(120, 190)), person(slice(10, 80))), {})

    people = detectron2.people_of(seen, GREY, least_share=0.1, counts=True)

    left, right = people.persons
    assert (left[50, 40], left[50, 150]) == (255, 0)
    assert (right[50, 40], right[50, 150]) == (0, 255)
    assert np.array_equal(left + right, people.matte)


def test_instance_below_the_least_share_is_left_out() -> None:
    seen = Seen((person(slice(10, 80)), person(slice(150, 160))), {})

    people = detectron2.people_of(seen, GREY, least_share=0.1, counts=True)

    assert len(people.persons) == 1
    assert people.matte[50, 155] == 0


def test_least_share_of_nought_keeps_all_instances() -> None:
    seen = Seen((person(slice(10, 80)), person(slice(150, 160))), {})

    people = detectron2.people_of(seen, GREY, least_share=0, counts=True)

    assert len(people.persons) == 2


def test_more_instances_than_a_byte_can_number_are_left_out() -> None:
    seen = Seen(tuple(person(slice(column % 200, column % 200 + 1)) for column in range(300)), {})

    people = detectron2.people_of(seen, GREY, least_share=0, counts=True)

    assert len(people.persons) == 255


def test_nobody_gives_an_empty_matte() -> None:
    people = detectron2.people_of(Seen((), {}), GREY, least_share=0, counts=True)

    assert people.persons == ()
    assert people.matte.shape == (100, 200)
    assert not people.matte.any()


def test_area_that_is_not_counted_is_nobodys() -> None:
    seen = Seen((person(slice(10, 80)),), {"sky": outline(slice(120, 190))})

    people = detectron2.people_of(seen, GREY, least_share=0.1, counts=True)

    (only,) = people.persons
    assert (people.matte[50, 150], only[50, 150]) == (255, 0)


def test_model_that_only_colours_tells_nobody_apart() -> None:
    seen = Seen((), {"sky": outline(slice(10, 80))})

    people = detectron2.people_of(seen, GREY, least_share=0.1, counts=False)

    assert people.persons is None
    assert people.matte[50, 40] == 255


def test_classes_are_named_with_commas() -> None:
    assert detectron2.wanted_of(" person, sky ,", "sha256:0", COCO) == ["person", "sky"]


def test_person_is_what_the_data_set_calls_one() -> None:
    lvis = Classes(things=("baby", "dog"), stuff=())

    wanted = detectron2.wanted_of(
        "person", "LVISv0.5-InstanceSegmentation/mask_rcnn_R_50_FPN_1x", lvis
    )

    assert wanted == ["baby"]


@pytest.mark.parametrize("told", ["", " , ", "people", "person,unicorn"])
def test_unknown_class_is_refused_with_those_that_there_are(told: str) -> None:
    with pytest.raises(ParameterRefused, match="it knows dog, person, sky, things"):
        detectron2.wanted_of(told, "sha256:0", COCO)


def test_nought_means_what_the_configuration_says() -> None:
    given = detectron2.CARD.completed({})

    assert detectron2.options_of(given) == Options(threshold=0.7)


def test_scalars_are_passed_on() -> None:
    given = {"threshold": 0.3, "short_side": 8, "most": 5, "overlap": 0.25}

    options = detectron2.options_of(detectron2.CARD.completed(given))

    assert options == Options(threshold=0.3, short_side_px=32, most=5, overlap=0.25)


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


def test_default_is_on_the_list_and_cuts_out() -> None:
    assert zoo.find(detectron2.DEFAULT).makes is zoo.Makes.INSTANCE


@pytest.mark.parametrize(
    "name", ["", "a", "../Base-RCNN-FPN", "COCO-Detection/retinanet_R_50_FPN_3x"]
)
def test_name_that_is_not_on_the_list_is_refused(name: str) -> None:
    with pytest.raises(SetupFailed, match="no configuration of the zoo"):
        zoo.find(name)


def test_configurations_that_only_draw_boxes_are_not_offered_for_cutting_out() -> None:
    entry = detectron2.CARD.parameter("entry")

    assert {zoo.find(name).makes for name in entry.choices} == {
        zoo.Makes.INSTANCE,
        zoo.Makes.PANOPTIC,
        zoo.Makes.SEMANTIC,
    }


def test_usual_landmarks_are_the_persons_own_right_and_left() -> None:
    right_eye, left_eye, nose, right_mouth, left_mouth = landmarks_of((10, 20, 100, 200))

    assert right_eye[0] < nose[0] < left_eye[0]
    assert right_mouth[0] < nose[0] < left_mouth[0]
    assert right_eye[1] == left_eye[1] < nose[1] < right_mouth[1] == left_mouth[1] < 220
