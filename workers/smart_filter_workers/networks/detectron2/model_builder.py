"""Build a detectron2 model from data, and load arrays that must fit it."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.networks.detectron2.checkpoints import Checkpoint
from smart_filter_workers.networks.detectron2.configs import Document

# Any object of torch or detectron2. Both are imported by name, so that type checks do not depend on
# their installation.
Foreign: TypeAlias = Any

# Buffers that a checkpoint may lack or have in addition: the configuration sets them.
_CONFIG_BUFFERS: Final = ("pixel_mean", "pixel_std")
_ANCHORS: Final = "anchor_generator.cell_anchors"
# Errors of building a model from keys or values that do not go together.
_BUILD_ERRORS: Final = (
    *(AssertionError, KeyError, ValueError, TypeError),
    *(RuntimeError, AttributeError, NotImplementedError, IndexError),
)


@dataclass(frozen=True, slots=True)
class ClassNames:
    """Names of a model's classes, in the order of its outputs.

    things: countable classes; stuff: uncountable ones, such as sky.
    """

    things: tuple[str, ...]
    stuff: tuple[str, ...]

    @property
    def all(self) -> frozenset[str]:
        """Every class name of the model."""
        return frozenset(self.things + self.stuff)


@dataclass(frozen=True, slots=True)
class BuiltModel:
    """A model in memory.

    model: a torch module in evaluation mode; config: detectron2's own node; device: cpu or cuda.
    """

    model: Foreign
    config: Foreign
    classes: ClassNames
    device: str


def build_model(document: Document, *, device: str, names: Sequence[str] = ()) -> BuiltModel:
    """Return a model with random weights, built from a configuration.

    document: without training's sections; names: of its classes, countable ones first, if
    detectron2 does not know the configuration's data set.
    Raises SetupFailed when detectron2 cannot build a model from it.
    """
    configs = importlib.import_module("detectron2.config")
    modeling = importlib.import_module("detectron2.modeling")
    config = configs.get_cfg()
    try:
        # Merge from another node, never from a file: merging files runs Python.
        config.merge_from_other_cfg(configs.CfgNode(document))
        config.MODEL.DEVICE = device
        config.MODEL.WEIGHTS = ""
        classes = _classes(config, names)
        model = modeling.build_model(config).eval()
    except _BUILD_ERRORS as error:
        raise SetupFailed(f"detectron2 cannot build the configuration: {error}") from error
    model.requires_grad_(requires_grad=False)
    return BuiltModel(model, config, classes, device)


def load_weights(built: BuiltModel, checkpoint: Checkpoint) -> None:
    """Load a checkpoint into a model.

    Raises SetupFailed naming the mismatch: a partly random model returns nonsense.
    """
    torch = importlib.import_module("torch")
    tensors = {name: torch.from_numpy(array) for name, array in checkpoint.arrays.items()}
    state = built.model.state_dict()
    if checkpoint.by_likeness:
        loading = importlib.import_module("detectron2.checkpoint.c2_model_loading")
        is_caffe2 = checkpoint.author == "Caffe2"
        tensors = loading.align_and_update_state_dicts(state, tensors, c2_conversion=is_caffe2)
    needed = set(state).difference(_CONFIG_BUFFERS)
    given = {name for name in tensors if name not in _CONFIG_BUFFERS and _ANCHORS not in name}
    unlike = {name for name in needed & given if state[name].shape != tensors[name].shape}
    for what, names in (
        ("lacks", needed - given),
        ("has the extra array", given - needed),
        ("has another shape of", unlike),
    ):
        if names:
            raise SetupFailed(
                f"the weights do not fit the configuration: the file {what} {min(names)}"
                f" (and {len(names) - 1} more)"
            )
    built.model.load_state_dict({name: tensors[name] for name in needed}, strict=False)


def choose_device() -> str:
    """Return the device for models here: `cuda` if torch finds a GPU, otherwise `cpu`."""
    return "cuda" if importlib.import_module("torch").cuda.is_available() else "cpu"


def _classes(config: Foreign, names: Sequence[str]) -> ClassNames:
    """Return the names of a configuration's classes: the given ones, or its data set's."""
    model = config.MODEL
    counts = model.META_ARCHITECTURE != "SemanticSegmentor"
    has_stuff = model.META_ARCHITECTURE not in {"GeneralizedRCNN", "RetinaNet"}
    head = model.RETINANET if model.META_ARCHITECTURE == "RetinaNet" else model.ROI_HEADS
    things = head.NUM_CLASSES if counts else 0
    stuff = model.SEM_SEG_HEAD.NUM_CLASSES if has_stuff else 0
    if names:
        classes = ClassNames(tuple(names[:things]), tuple(names[things:]))
    else:
        catalog = importlib.import_module("detectron2.data").MetadataCatalog
        title = config.DATASETS.TEST[0] if config.DATASETS.TEST else ""
        # Getting an unknown data set would create it.
        metadata = catalog.get(title).as_dict() if title in catalog.list() else {}
        classes = ClassNames(
            tuple(metadata.get("thing_classes", ())) if counts else (),
            tuple(metadata.get("stuff_classes", ())) if has_stuff else (),
        )
    if (len(classes.things), len(classes.stuff)) != (things, stuff):
        raise SetupFailed(
            f"the configuration has {things} + {stuff} classes, and"
            f" {len(classes.things)} + {len(classes.stuff)} are named: name them with --classes"
        )
    return classes
