"""The settings of a detector's training, and detectron2's configuration from them."""

from dataclasses import dataclass
from typing import Final

import yaml

from smart_filter_shared.errors import SetupFailed
from smart_filter_training import preflight
from smart_filter_workers.networks.detectron2 import predictor, predictor_cache
from smart_filter_workers.networks.detectron2.configs import Document, Value
from smart_filter_workers.networks.detectron2.predictor import BuiltModel, Foreign

FASTER_RCNN: Final = "faster_rcnn"
RETINANET: Final = "retinanet"
MASK_RCNN: Final = "mask_rcnn"
# Anchor sizes at steps of a third of an octave.  Source: Lin et al. 2017, "Focal loss for dense
# object detection", section 4.
_ANCHOR_SIZES: Final[list[Value]] = [
    [float(side * 2 ** (step / 3)) for step in range(3)] for side in (32, 64, 128, 256, 512)
]
# ResNets of these depths have blocks of two convolutions, and narrower stages.
_BASIC_DEPTHS: Final = (18, 34)
_BASIC_CHANNELS: Final = 64
# Stages that fine-tuning does not change: the stem and the first.
# Source: Ren et al. 2015, "Faster R-CNN", as detectron2's FREEZE_AT.
_FROZEN_STAGES: Final = 2


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings of a run.

    architecture: "" for the model's first one.
    weights: a file to start with, of arrays or one of the zoo's pickles; "" for random ones.
    freeze: stages of the backbone that training does not change; -1: two with weights to start
        with, none without.
    clip: the longest gradient of a parameter, 0 for any; warmup: iterations until the learning
        rate is reached; it then falls to 0 along a half cosine.
    norm: normalization of the backbone: BN, FrozenBN or GN; "" for FrozenBN, as in the zoo, with
        weights to start with, else GN.
    channels, head_channels, depth: sizes of the feature pyramid, of the head and of the ResNet.
    short_side, long_side: of pictures, in pixels; in training the shorter one is random, from
        `smallest` × short_side.
    threshold: the least score that counts in figures; the default is that of recipes.
    label, annotations, validation, validation_share, most_faults: as in
        `annotations.splits.SplitOptions`; label "" for the model's own.
    checkpoint_every: iterations from one checkpoint to the next.
    """

    seed: int = 0
    architecture: str = ""
    weights: str = ""
    iterations: int = 500
    batch_size: int = 4
    learning_rate: float = 0.001
    warmup: int = 100
    clip: float = 1.0
    freeze: int = -1
    norm: str = ""
    depth: int = 50
    channels: int = 256
    head_channels: int = 1024
    short_side: int = 640
    long_side: int = 1333
    smallest: float = 0.8
    threshold: float = 0.7
    label: str = ""
    annotations: str = ""
    validation: str = ""
    validation_share: float = 0.2
    most_faults: int = 0
    checkpoint_every: int = 100

    def __post_init__(self) -> None:
        """Refuse settings that cannot train.  Raises SetupFailed naming the first."""
        least = {
            "seed": 0,
            "iterations": 1,
            "batch_size": 1,
            "warmup": 0,
            "clip": 0,
            "freeze": -1,
            "checkpoint_every": 1,
            "most_faults": 0,
            "short_side": 32,
            "long_side": 32,
        }
        preflight.require_least(self, least)
        for name in ("learning_rate", "smallest", "threshold"):
            if not 0 < getattr(self, name) <= 1:
                raise SetupFailed(f"{name} is {getattr(self, name)}: set more than 0, at most 1")

    @property
    def frozen_stages(self) -> int:
        """The stages of the backbone that training does not change."""
        if self.freeze >= 0:
            return self.freeze
        return _FROZEN_STAGES if self.weights else 0


def to_yaml(configuration: Configuration, architecture: str, classes: int) -> str:
    """Return the YAML that `models admit` takes: the network without its training.

    Raises SetupFailed for an unknown architecture.
    """
    documents = {
        FASTER_RCNN: _two_stages(configuration, classes, masks=False),
        MASK_RCNN: _two_stages(configuration, classes, masks=True),
        RETINANET: _retinanet(configuration, classes),
    }
    if architecture not in documents:
        names = ", ".join(documents)
        raise SetupFailed(f"{architecture!r} is an unknown architecture: set one of {names}")
    return yaml.safe_dump(documents[architecture], sort_keys=False)


def build_network(text: str, labels: tuple[str, ...]) -> BuiltModel:
    """Return a network with random weights, as the product builds it.  Raises SetupFailed."""
    document = predictor_cache.parse_own_config(text, "the training's configuration")
    return predictor.build_model(document, device=predictor.choose_device(), names=labels)


def configure_solver(network: BuiltModel, configuration: Configuration) -> Foreign:
    """Return detectron2's own configuration of a network and its training."""
    node = network.config.clone()
    node.defrost()
    solver = node.SOLVER
    solver.MAX_ITER = configuration.iterations
    solver.IMS_PER_BATCH = configuration.batch_size
    solver.BASE_LR = configuration.learning_rate
    solver.LR_SCHEDULER_NAME = "WarmupCosineLR"
    solver.WARMUP_ITERS = min(configuration.warmup, configuration.iterations)
    solver.CLIP_GRADIENTS.ENABLED = configuration.clip > 0
    solver.CLIP_GRADIENTS.CLIP_TYPE = "norm"
    solver.CLIP_GRADIENTS.CLIP_VALUE = configuration.clip
    solver.AMP.ENABLED = network.device == "cuda"
    node.freeze()
    return node


def _two_stages(configuration: Configuration, classes: int, *, masks: bool) -> Document:
    head: dict[str, Value] = {"FC_DIM": configuration.head_channels}
    model: dict[str, Value] = {
        "MASK_ON": masks,
        "RESNETS": _backbone(configuration),
        "FPN": {"OUT_CHANNELS": configuration.channels},
        "ROI_HEADS": {"NUM_CLASSES": classes},
        "ROI_BOX_HEAD": head,
    }
    if masks:
        model["ROI_MASK_HEAD"] = {"CONV_DIM": configuration.channels}
    return {"_BASE_": "Base-RCNN-FPN.yaml", "MODEL": model, "INPUT": _input(configuration)}


def _retinanet(configuration: Configuration, classes: int) -> Document:
    # A copy of the zoo's own file, which runs Python for its anchors and is never read.
    model: dict[str, Value] = {
        "META_ARCHITECTURE": "RetinaNet",
        "BACKBONE": {"NAME": "build_retinanet_resnet_fpn_backbone"},
        "RESNETS": {**_backbone(configuration), "OUT_FEATURES": ["res3", "res4", "res5"]},
        "FPN": {"OUT_CHANNELS": configuration.channels, "IN_FEATURES": ["res3", "res4", "res5"]},
        "ANCHOR_GENERATOR": {"SIZES": list(_ANCHOR_SIZES)},
        "RETINANET": {"NUM_CLASSES": classes, "SMOOTH_L1_LOSS_BETA": 0.0},
    }
    return {"MODEL": model, "INPUT": _input(configuration), "VERSION": 2}


def _backbone(configuration: Configuration) -> dict[str, Value]:
    # Small batches have useless statistics; FrozenBN uses the first weights' statistics.
    settings: dict[str, Value] = {
        "DEPTH": configuration.depth,
        "NORM": configuration.norm or ("FrozenBN" if configuration.weights else "GN"),
    }
    if configuration.depth in _BASIC_DEPTHS:
        settings["RES2_OUT_CHANNELS"] = _BASIC_CHANNELS
    return settings


def _input(configuration: Configuration) -> dict[str, Value]:
    return {
        "MIN_SIZE_TEST": configuration.short_side,
        "MAX_SIZE_TEST": configuration.long_side,
    }
