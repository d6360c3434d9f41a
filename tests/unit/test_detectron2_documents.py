"""detectron2's configurations are data: no tag runs, no base or key is outside of the list."""

import pytest

from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.networks.detectron2 import documents, keys
from smart_filter_workers.networks.detectron2.documents import Document, Value

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
    document = documents.of_zoo("COCO/smaller.yaml", in_zoo)

    assert document == {
        "MODEL": {"MASK_ON": True, "RESNETS": {"DEPTH": 18, "NORM": "GN"}},
        "VERSION": 2,
    }


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:os.system ['echo run']",
        "!!python/object/new:os.system ['echo run']",
        "!!python/name:os.system",
        "!!python/tuple [1, 2]",
        "!mine {a: 1}",
        "!!binary aGVsbG8=",
        "!!int '3'",
    ],
)
@pytest.mark.parametrize("place", ["KEY: {}", "[{}]", "? {}\n: 1", "A:\n  - B: {}"])
def test_tags_are_refused_wherever_they_stand(place: str, value: str) -> None:
    with pytest.raises(SetupFailed, match="tag"):
        documents.parsed(place.format(value), "it")


def test_tag_in_a_base_is_refused() -> None:
    with pytest.raises(SetupFailed, match=r"Base-RetinaNet\.yaml has the tag"):
        documents.of_zoo("runs.yaml", in_zoo)


@pytest.mark.parametrize(
    "base",
    [
        "/etc/passwd",
        "~/mine.yaml",
        "../secret.yaml",
        "COCO/../../secret.yaml",
        "https://example.org/a.yaml",
        "'..\\secret.yaml'",
        "''",
        "'a b.yaml'",
        '"COCO/small.yaml\\0"',
        "[COCO/small.yaml]",
        "3",
        "null",
    ],
)
def test_base_outside_of_the_zoo_is_refused(base: str) -> None:
    asked: list[str] = []

    def read(path: str) -> str:
        asked.append(path)
        return "VERSION: 2\n"

    with pytest.raises(SetupFailed):
        documents.of_operator(f"_BASE_: {base}\n", "mine.yaml", read)

    assert asked == []


@pytest.mark.parametrize("name", ["../Base.yaml", "/Base.yaml", "COCO/../../x.yaml", "a//b", ""])
def test_name_that_leaves_the_zoo_is_refused(name: str) -> None:
    with pytest.raises(SetupFailed, match="outside"):
        documents.of_zoo(name, in_zoo)


def test_bases_in_a_circle_are_refused() -> None:
    with pytest.raises(SetupFailed, match="bases"):
        documents.of_zoo("loop.yaml", in_zoo)


def test_missing_file_of_the_zoo_is_named() -> None:
    with pytest.raises(SetupFailed, match=r"no COCO/none\.yaml"):
        documents.of_zoo("COCO/none.yaml", in_zoo)


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
        ("a: " + "9" * 5000, "plain YAML"),
        ("a: '" + "x" * 70_000 + "'", "larger"),
        ("a: \x00", "plain YAML"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_document_that_is_not_plain_data_is_refused(text: str, why: str) -> None:
    with pytest.raises(SetupFailed, match=why):
        documents.parsed(text, "it")


def test_keys_of_training_and_the_address_of_weights_are_dropped() -> None:
    document: documents.Document = {
        "MODEL": {"WEIGHTS": "detectron2://a.pkl", "MASK_ON": True},
        "SOLVER": {"STEPS": "(1, 2)"},
        "OUTPUT_DIR": "/tmp/x",
    }

    assert documents.without_training(document) == {"MODEL": {"MASK_ON": True}}


def nested(key: str, value: Value) -> Document:
    for part in reversed(key.split(".")):
        value = {part: value}
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("VERSION", 2),
        ("_BASE_", "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x.yaml"),
        ("MODEL.META_ARCHITECTURE", "PanopticFPN"),
        ("MODEL.MASK_ON", True),
        ("MODEL.WEIGHTS", ""),
        ("MODEL.RESNETS.DEPTH", 18),
        ("MODEL.RESNETS.OUT_FEATURES", ["res2", "res5"]),
        ("MODEL.RESNETS.DEFORM_ON_PER_STAGE", [False, True, True, True]),
        ("MODEL.ANCHOR_GENERATOR.SIZES", [[32], [64], [128.5]]),
        ("MODEL.ROI_BOX_CASCADE_HEAD.IOUS", "(0.5, 0.6, 0.7)"),
        ("MODEL.PIXEL_STD", [57.375, 57.12, 58.395]),
        ("MODEL.ROI_HEADS.NMS_THRESH_TEST", 1),
        ("INPUT.MIN_SIZE_TRAIN", "(640, 800)"),
        ("DATASETS.TEST", '("faces_val",)'),
        ("SOLVER.STEPS", "(1, 2)"),
        ("SOLVER.NOBODY.KNOWS", "anything"),
        ("OUTPUT_DIR", "./output"),
    ],
)
def test_keys_that_models_need_are_allowed(key: str, value: Value) -> None:
    keys.check(nested(key, value), "mine")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("MODEL.DEVICE", "cuda:7"),
        ("MODEL.KEYPOINT_ON", True),
        ("MODEL.LOAD_PROPOSALS", True),
        ("MODEL.META_ARCHITECTURE", "FCOS"),
        ("MODEL.META_ARCHITECTURE", ["PanopticFPN"]),
        ("MODEL.BACKBONE.NAME", "build_resnet_backbone\n"),
        ("MODEL._BASE_", "../other.yaml"),
        ("MODEL", 3),
        ("MODEL.RESNETS", []),
        ("MODEL.RESNETS.DEPTH", 100_000),
        ("MODEL.RESNETS.DEPTH", True),
        ("MODEL.RESNETS.DEPTH", "50"),
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
        ("MODEL.MASK_ON", "True"),
        ("DATASETS.TEST", ["../../secret"]),
        ("DATASETS.TEST", "(" * 300),
        ("DATASETS.TEST", "(" + "-" * 300 + "1,)"),
        ("DATASETS.PROPOSAL_FILES_TEST", ["a.pkl"]),
        ("TEST.PRECISE_BN.ENABLED", True),
        ("VERSION", 1),
        ("GLOBAL.HACK", 1.0),
    ],
)
def test_other_keys_and_values_are_refused_by_name(key: str, value: Value) -> None:
    with pytest.raises(SetupFailed, match=f"mine: {key} "):
        keys.check(nested(key, value), "mine")


@pytest.mark.parametrize(
    "address",
    [
        "https://example.org/model.pkl",
        "detectron2://ImageNetPretrained/MSRA/R-50.pkl",
        "/root/model.pth",
        ["model.pth"],
        0,
    ],
)
def test_foreign_address_of_weights_is_refused(address: Value) -> None:
    with pytest.raises(SetupFailed, match=r"MODEL\.WEIGHTS .*weights are admitted on their own"):
        keys.check({"MODEL": {"WEIGHTS": address}}, "mine")
