"""What can be set of a detector's training, and how detectron2 is told."""

from dataclasses import dataclass
from typing import Final

import yaml

from smart_filter_shared.errors import SetupFailed
from smart_filter_training.annotations.splits import Where
from smart_filter_workers.networks.detectron2 import building, shelf
from smart_filter_workers.networks.detectron2.building import Built, Foreign
from smart_filter_workers.networks.detectron2.documents import Document, Value

FASTER_RCNN: Final = "faster_rcnn"
RETINANET: Final = "retinanet"
MASK_RCNN: Final = "mask_rcnn"
# Anchors a third of an octave apart.  Source: Lin et al. 2017, "Focal loss for dense object
# detection", section 4.
_ANCHOR_SIZES: Final[list[Value]] = [
    [float(side * 2 ** (step / 3)) for step in range(3)] for side in (32, 64, 128, 256, 512)
]
# ResNets of so few layers have blocks of two convolutions, and narrower stages.
_BASIC_DEPTHS: Final = (18, 34)
_BASIC_CHANNELS: Final = 64
# Stages that stay as they are when a network is fine-tuned: the stem and the first.
# Source: Ren et al. 2015, "Faster R-CNN", as detectron2's FREEZE_AT has it.
_FROZEN_STAGES: Final = 2


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a training can be told.

    architecture: "" for the first that the model knows.
    weights: a file to begin with, of arrays or one of the zoo's pickles; "" for random ones.
    freeze: how many stages of the backbone stay as they are; -1: two with weights to begin
        with, none without.
    clip: the longest gradient of a parameter, 0 for any; warmup: iterations until the learning
        rate is reached; it falls to nothing along a half cosine.
    norm: how the backbone normalises: BN, FrozenBN or GN; "" for FrozenBN, as the zoo has it,
        with weights to begin with, else GN.
    channels, head_channels, depth: sizes of the feature pyramid, of the head and of the ResNet.
    short_side, long_side: of pictures, in pixels; in training the shorter one is drawn from
        `smallest` × short_side upwards.
    threshold: the least score of what is counted when the network is judged; the default is what
        recipes ask for.
    label, annotations, validation, validation_share, most_faults: as `annotations.splits.Where`
        has them; label "" for the model's own.
    checkpoint_every: iterations after which a killed run goes on at most so far back.
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
        """Refuse what no training comes of.  Raises SetupFailed naming it."""
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
        for name, value in least.items():
            if getattr(self, name) < value:
                raise SetupFailed(f"{name} is {getattr(self, name)}: set at least {value}")
        for name in ("learning_rate", "smallest", "threshold"):
            if not 0 < getattr(self, name) <= 1:
                raise SetupFailed(f"{name} is {getattr(self, name)}: set more than 0, at most 1")

    def where(self, label: str) -> Where:
        """Return which annotations are meant; label: what the model learns by itself."""
        return Where(
            labels=((self.label or label).casefold(),),
            annotations=self.annotations,
            validation=self.validation,
            validation_share=self.validation_share,
            most_faults=self.most_faults,
        )

    @property
    def frozen_stages(self) -> int:
        """How many stages of the backbone are not trained."""
        if self.freeze >= 0:
            return self.freeze
        return _FROZEN_STAGES if self.weights else 0


def text(configuration: Configuration, architecture: str, classes: int) -> str:
    """Return the YAML that `models admit` takes: what the network is, nothing of its training.

    Raises SetupFailed for an architecture that is not known.
    """
    documents = {
        FASTER_RCNN: _two_stages(configuration, classes, masks=False),
        MASK_RCNN: _two_stages(configuration, classes, masks=True),
        RETINANET: _retinanet(configuration, classes),
    }
    if architecture not in documents:
        known = ", ".join(documents)
        raise SetupFailed(f"{architecture!r} is no architecture that is trained here: {known}")
    return yaml.safe_dump(documents[architecture], sort_keys=False)


def built(told: str, labels: tuple[str, ...]) -> Built:
    """Return a network with random weights, as the product builds it.  Raises SetupFailed."""
    document = shelf.of_operator(told, "the training's configuration")
    return building.build(document, device=building.device(), names=labels)


def solving(network: Built, configuration: Configuration) -> Foreign:
    """Return detectron2's own configuration of a network, with how it is trained."""
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
    # Written out: the zoo's own file runs Python for its anchors, and is never read.
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
    # Statistics of batches as small as these are useless; those of other weights come with them.
    told: dict[str, Value] = {
        "DEPTH": configuration.depth,
        "NORM": configuration.norm or ("FrozenBN" if configuration.weights else "GN"),
    }
    if configuration.depth in _BASIC_DEPTHS:
        told["RES2_OUT_CHANNELS"] = _BASIC_CHANNELS
    return told


def _input(configuration: Configuration) -> dict[str, Value]:
    return {
        "MIN_SIZE_TEST": configuration.short_side,
        "MAX_SIZE_TEST": configuration.long_side,
    }
