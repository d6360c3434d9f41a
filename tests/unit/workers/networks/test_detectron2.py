import collections
import io
import os
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from smart_filter_shared.errors import ParameterRefused, SetupFailed
from smart_filter_workers.networks.detectron2 import checkpoints, configs, predictor_cache
from smart_filter_workers.networks.detectron2.configs import Document, Value
from smart_filter_workers.networks.detectron2.predictor import (
    ClassNames,
    Instance,
    Prediction,
    PredictOptions,
    input_size,
)
from smart_filter_workers.stages.segmentation.models import detectron2

ZOO = {
    "Base.yaml": "MODEL:\n  MASK_ON: false\n  RESNETS: {DEPTH: 50, NORM: GN}\nVERSION: 2\n",
    "COCO/small.yaml": "_BASE_: ../Base.yaml\nMODEL:\n  RESNETS:\n    DEPTH: 18\n",
    "COCO/smaller.yaml": "_BASE_: small.yaml\nMODEL: {MASK_ON: true}\n",
    "loop.yaml": "_BASE_: loop.yaml\n",
    "runs.yaml": "_BASE_: Base-RetinaNet.yaml\n",
    "Base-RetinaNet.yaml": "SIZES: !!python/object/apply:eval ['[x for x in (1, 2)]']\n",
}


def in_zoo(path: str) -> str:
    if path not in ZOO:
        raise FileNotFoundError(path)
    return ZOO[path]


def test_document_overrides_its_bases() -> None:
    document = configs.load_zoo_document("COCO/smaller.yaml", in_zoo)

    assert document == {
        "MODEL": {"MASK_ON": True, "RESNETS": {"DEPTH": 18, "NORM": "GN"}},
        "VERSION": 2,
    }


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:os.system ['echo run']",
        "!!python/name:os.system",
        "!!python/tuple [1, 2]",
        "!mine {a: 1}",
        "!!int '3'",
    ],
)
@pytest.mark.parametrize("place", ["KEY: {}", "[{}]", "? {}\n: 1", "A:\n  - B: {}"])
def test_tags_are_refused_anywhere(place: str, value: str) -> None:
    with pytest.raises(SetupFailed, match="tag"):
        configs.parse(place.format(value), "it")


OUTSIDE = r"""/etc/passwd|~/mine.yaml|../secret.yaml|COCO/../../secret.yaml|'..\secret.yaml'
|https://example.org/a.yaml|''|'a b.yaml'|"COCO/small.yaml\0"|[COCO/small.yaml]|3|null"""


@pytest.mark.parametrize("base", [base.strip() for base in OUTSIDE.split("|")])
def test_base_outside_of_the_zoo_is_refused(base: str) -> None:
    asked: list[str] = []

    def read(path: str) -> str:
        asked.append(path)
        return "VERSION: 2\n"

    with pytest.raises(SetupFailed):
        configs.load_own_document(f"_BASE_: {base}\n", "mine.yaml", read)

    assert asked == []


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("loop.yaml", "bases"),
        ("COCO/none.yaml", r"no COCO/none\.yaml"),
        ("runs.yaml", r"Base-RetinaNet\.yaml has the tag"),
        ("COCO/../../x.yaml", "outside"),
    ],
)
def test_unreadable_file_of_the_zoo_is_refused(name: str, why: str) -> None:
    with pytest.raises(SetupFailed, match=why):
        configs.load_zoo_document(name, in_zoo)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: &x [1]\nb: *x\n", "anchor"),
        ("a: &a [*a]\n", "anchor"),
        ("a: 1\na: 2\n", "twice"),
        ("- {a: [{b: 1, b: 2}]}\n", "twice"),
        ("[" * 5000, "deeper"),
        ("a: " * 3, "plain YAML"),
        ("- a\n", "mapping"),
        ("", "mapping"),
        ("just words", "mapping"),
        ("a: 1\n---\nb: 2\n", "plain YAML"),
        ("1: a\n", "key"),
        ("a: 2020-01-01\n", "plain values"),
        ("a: .nan\n", "number"),
        ("a: " + "9" * 5000, "a number of more than 100 characters"),
        ("a: '" + "x" * 70_000 + "'", "more than 65536 bytes"),
        ("a: \x00", "plain YAML"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_document_that_is_not_plain_data_is_refused(text: str, why: str) -> None:
    with pytest.raises(SetupFailed, match=why):
        configs.parse(text, "it")


def test_keys_of_training_and_the_address_of_weights_are_dropped() -> None:
    document: configs.Document = {
        "MODEL": {"WEIGHTS": "detectron2://a.pkl", "MASK_ON": True},
        "SOLVER": {"STEPS": "(1, 2)"},
        "OUTPUT_DIR": "/tmp/x",
    }

    assert configs.strip_training(document) == {"MODEL": {"MASK_ON": True}}


def nested(key: str, value: Value) -> Document:
    for part in reversed(key.split(".")):
        value = {part: value}
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("_BASE_", "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x.yaml"),
        ("MODEL.WEIGHTS", ""),
        ("MODEL.META_ARCHITECTURE", "PanopticFPN"),
        ("MODEL.MASK_ON", True),
        ("MODEL.RESNETS.OUT_FEATURES", ["res2", "res5"]),
        ("MODEL.RESNETS.DEFORM_ON_PER_STAGE", [False, True, True, True]),
        ("MODEL.ANCHOR_GENERATOR.SIZES", [[32], [64], [128.5]]),
        ("MODEL.ROI_BOX_CASCADE_HEAD.IOUS", "(0.5, 0.6, 0.7)"),
        ("MODEL.PIXEL_STD", [57.375, 57.12, 58.395]),
        ("MODEL.ROI_HEADS.NMS_THRESH_TEST", 1),
        ("INPUT.MIN_SIZE_TRAIN", "(640, 800)"),
        ("DATASETS.TEST", '("faces_val",)'),
        ("SOLVER.UNKNOWN.KEY", "anything"),
    ],
)
def test_keys_that_models_need_are_allowed(key: str, value: Value) -> None:
    configs.check(nested(key, value), "mine")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("MODEL.DEVICE", "cuda:7"),
        ("MODEL.META_ARCHITECTURE", "FCOS"),
        ("MODEL.META_ARCHITECTURE", ["PanopticFPN"]),
        ("MODEL.BACKBONE.NAME", "build_resnet_backbone\n"),
        ("MODEL._BASE_", "../other.yaml"),
        ("MODEL", 3),
        ("MODEL.RESNETS", []),
        ("MODEL.RESNETS.DEPTH", 100_000),
        ("MODEL.RESNETS.DEPTH", True),
        ("MODEL.RESNETS.DEPTH", 50.0),
        ("MODEL.RESNETS.DEPTH.MORE", 50),
        ("MODEL.RESNETS.DEFORM_ON_PER_STAGE", [True]),
        ("MODEL.RESNETS.OUT_FEATURES", ["res2", "../res3"]),
        ("MODEL.ROI_HEADS.NUM_CLASSES", 10**9),
        ("MODEL.ROI_HEADS.NMS_THRESH_TEST", "0.5"),
        ("MODEL.ANCHOR_GENERATOR.SIZES", [[1.0] * 41]),
        ("MODEL.ANCHOR_GENERATOR.SIZES", "([9] * 10**9,)"),
        ("MODEL.PIXEL_STD", [0, 0, 0]),
        ("MODEL.MASK_ON", 1),
        ("DATASETS.TEST", ["../../secret"]),
        ("DATASETS.TEST", "(" * 300),
        ("DATASETS.TEST", "(" + "-" * 300 + "1,)"),
        ("DATASETS.PROPOSAL_FILES_TEST", ["a.pkl"]),
        ("VERSION", 1),
        ("GLOBAL.HACK", 1.0),
    ],
)
def test_other_keys_and_values_are_refused_by_name(key: str, value: Value) -> None:
    with pytest.raises(SetupFailed, match=f"mine: {key} "):
        configs.check(nested(key, value), "mine")


@pytest.mark.parametrize("address", ["https://example.org/model.pkl", "/root/model.pth", 0])
def test_weights_address_of_another_host_is_refused(address: Value) -> None:
    with pytest.raises(SetupFailed, match=r"MODEL\.WEIGHTS .*weights are admitted on their own"):
        configs.check({"MODEL": {"WEIGHTS": address}}, "mine")


ARRAYS: dict[str, NDArray[Any]] = {
    "conv.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "conv.bias": np.array([1.5, -2.5], np.float64),
    "norm.half": np.array([[0.5], [2.0]], np.float16),
    "norm.count": np.array(7, np.int64),
    "big_endian": np.array([1, 2, 3], ">i4"),
    "by_columns": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    "empty": np.zeros((0, 4), np.float32),
    "flags": np.array([True, False]),
}


def parsed(content: object, *, protocol: int = 2) -> checkpoints.Checkpoint:
    return checkpoints.parse(pickle.dumps(content, protocol=protocol), "it")


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("kind", [dict, collections.OrderedDict])
def test_pickle_of_the_zoo_gives_its_arrays(protocol: int, kind: Callable[[Any], Any]) -> None:
    content = {"model": kind(ARRAYS), "__author__": "Detectron2 Model Zoo"}

    checkpoint = parsed(content, protocol=protocol)
    packed = checkpoints.parse(an_npz(weight=ARRAYS["conv.weight"]), "it")

    assert np.array_equal(packed.arrays["weight"], ARRAYS["conv.weight"])
    assert (checkpoint.author, checkpoint.by_likeness) == ("Detectron2 Model Zoo", False)
    assert checkpoint.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert np.array_equal(checkpoint.arrays[name], array), name
        assert checkpoint.arrays[name].dtype == array.dtype.newbyteorder("=")
        assert checkpoint.arrays[name].flags.writeable


def an_npz(**arrays: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


class Calls:
    def __init__(self, what: Callable[..., object], *arguments: object) -> None:
        self.call = (what, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


MODEL = {"w": ARRAYS["conv.bias"]}
RUNS: list[str] = []


def run(what: str) -> str:
    RUNS.append(what)
    return what


@pytest.mark.parametrize(
    "thing",
    [
        Calls(run, "it"),
        Calls(os.system, "true"),
        Calls(eval, "1 + 1"),
        Calls(getattr, RUNS, "append"),
        Calls(np.load, "a.npy"),
        Calls(np.frombuffer, b"1234"),
        Calls(collections.Counter, "aab"),
        np.array([{"an": "object"}], dtype=object),
        np.array(["text"]),
        np.zeros(2, dtype=[("x", "f4")]),
        np.datetime64("2020-01-01"),
        np.float32,
        os.system,
    ],
)
@pytest.mark.parametrize(
    "place",
    [
        lambda thing: {"model": {"w": thing}},
        lambda thing: {"model": MODEL, "extra": thing},
        lambda thing: {"model": MODEL, "extra": [("a list", {"deep": thing})]},
    ],
    ids=["model", "sibling", "deep"],
)
def test_value_that_is_not_an_array_is_refused_without_running_it(
    thing: object, place: Callable[[object], object]
) -> None:
    RUNS.clear()

    with pytest.raises(SetupFailed, match="is not a readable checkpoint"):
        parsed(place(thing))

    assert RUNS == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80",
        b"PK\x03\x04 no archive",
        an_npz(w=np.array([{"an": "object"}], dtype=object)),
        pickle.dumps([1, 2]),
        pickle.dumps({"model": 3}),
        pickle.dumps({"model": {"w": 3}}),
        pickle.dumps({"model": {3: ARRAYS["flags"]}}, protocol=2),
        pickle.dumps({"model": ARRAYS}, protocol=2)[:-40],
        b"cos\nsystem\n(S'true'\ntR.",
        b"\x80\x04\x8c\x05numpy\x8c\x11core.load_library\x93.",
    ],
    ids=lambda content: repr(content[:12]),
)
def test_broken_file_is_refused(content: bytes) -> None:
    with pytest.raises(SetupFailed, match="it is not a readable checkpoint"):
        checkpoints.parse(content, "it")


def test_shape_that_its_numbers_do_not_fill_is_refused() -> None:
    content = pickle.dumps({"w": np.zeros((2, 3), np.float32)}, protocol=2)
    grown = content.replace(b"K\x02K\x03\x86", b"K\x02K\x7f\x86")

    assert grown != content
    with pytest.raises(SetupFailed, match="not a readable checkpoint"):
        checkpoints.parse(grown, "it")


COCO = ClassNames(things=("person", "dog"), stuff=("things", "sky"))
GRAY = np.full((100, 200, 3), 128, np.uint8)


def outline(columns: slice) -> NDArray[np.bool_]:
    made = np.zeros(GRAY.shape[:2], np.bool_)
    made[10:90, columns] = True
    return made


def person(columns: slice) -> Instance:
    box = (float(columns.start), 10.0, float(columns.stop), 90.0)
    return Instance("person", 0.9, box, outline(columns))


def _square(left: int, top: int) -> NDArray[np.bool_]:
    made = np.zeros(GRAY.shape[:2], np.bool_)
    made[top : top + 10, left] = True
    return made


LEFT, RIGHT, NARROW = person(slice(10, 80)), person(slice(120, 190)), person(slice(150, 160))


def test_persons_are_ordered_from_left_to_right_and_add_up_to_the_matte() -> None:
    people = detectron2.to_people(Prediction((RIGHT, LEFT), {}), GRAY, least_share=0.1, counts=True)

    left, right = people.persons
    assert (left[50, 40], left[50, 150]) == (255, 0)
    assert (right[50, 40], right[50, 150]) == (0, 255)
    assert np.array_equal(left + right, people.matte)


@pytest.mark.parametrize(
    ("persons", "least_share", "count", "narrow"),
    [
        ((LEFT, NARROW), 0.1, 1, 0),
        # More than a byte can number.
        (
            tuple(
                Instance("person", 0.9, (x, y, x + 1, y + 10), _square(x, y))
                for y in (45, 60)
                for x in range(200)
            ),
            0,
            255,
            255,
        ),
        ((), 0, 0, 0),
    ],
    ids=["below the least share", "too many", "no person"],
)
def test_instances_are_numbered_in_a_byte_above_a_minimum_share(
    persons: tuple[Instance, ...], least_share: float, count: int, narrow: int
) -> None:
    people = detectron2.to_people(
        Prediction(persons, {}), GRAY, least_share=least_share, counts=True
    )

    assert len(people.persons) == count
    assert people.matte.shape == (100, 200)
    assert people.matte.any() == (count > 0)
    assert people.matte[50, 155] == narrow


@pytest.mark.parametrize("counts", [True, False])
def test_uncounted_area_is_in_the_matte_alone(*, counts: bool) -> None:
    seen = Prediction((LEFT,) if counts else (), {"sky": outline(slice(120, 190))})

    people = detectron2.to_people(seen, GRAY, least_share=0.1, counts=counts)

    assert people.matte[50, 150] == 255
    assert [mask[50, 150] for mask in people.persons or ()] == ([0] if counts else [])
    assert (people.persons is None) == (not counts)


def test_person_has_the_class_name_of_the_data_set() -> None:
    lvis = ClassNames(things=("baby", "dog"), stuff=())
    entry = "LVISv0.5-InstanceSegmentation/mask_rcnn_R_50_FPN_1x"

    assert detectron2.parse_classes("person", entry, lvis) == ["baby"]


@pytest.mark.parametrize("names", ["", " , ", "people", "person,unicorn"])
def test_unknown_class_is_refused_with_the_known_ones(names: str) -> None:
    with pytest.raises(ParameterRefused, match="it has dog, person, sky, things"):
        detectron2.parse_classes(names, "sha256:0", COCO)


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({}, PredictOptions(threshold=0.7)),  # 0 is the configuration's own value
        (
            {"threshold": 0.3, "short_side": 8, "most": 5, "overlap": 0.25},
            PredictOptions(threshold=0.3, short_side_px=32, most=5, overlap=0.25),
        ),
    ],
    ids=["defaults", "all"],
)
def test_scalars_are_passed_on(given: dict[str, float], options: PredictOptions) -> None:
    assert detectron2.read_options(detectron2.CARD.completed(given)) == options


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((480, 640), (800, 1067)),
        ((2000, 500), (1333, 333)),
        ((1, 3000), (1, 1333)),
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
    assert predictor_cache.find(detectron2.DEFAULT).makes == predictor_cache.OutputKind.INSTANCE
    with pytest.raises(SetupFailed, match="is not in the zoo"):
        predictor_cache.find(name)
