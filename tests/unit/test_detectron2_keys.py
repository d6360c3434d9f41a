"""An operator's configuration says only what the list lets it say."""

import pytest

from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.networks.detectron2 import keys
from smart_filter_workers.networks.detectron2.documents import Document, Value


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
