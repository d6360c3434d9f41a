"""A model of detectron2 built out of data, and filled with arrays that must fit it."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.networks.detectron2.checkpoints import Checkpoint
from smart_filter_workers.networks.detectron2.documents import Document

# Anything of torch or detectron2: imported by name, so that what is checked here does not
# depend on whether they are installed.
Foreign: TypeAlias = Any

# What a checkpoint may lack or have too much of: the configuration says them again.
_OF_CONFIG: Final = ("pixel_mean", "pixel_std")
_ANCHORS: Final = "anchor_generator.cell_anchors"
# What building fails with when keys or values do not go together.
_MISFITS: Final = (
    *(AssertionError, KeyError, ValueError, TypeError),
    *(RuntimeError, AttributeError, NotImplementedError, IndexError),
)


@dataclass(frozen=True, slots=True)
class Classes:
    """Names of what a model tells apart, in the order of its outputs.

    things: what it counts; stuff: what it only colours.
    """

    things: tuple[str, ...]
    stuff: tuple[str, ...]

    @property
    def all(self) -> frozenset[str]:
        """Every name that may be wanted."""
        return frozenset(self.things + self.stuff)


@dataclass(frozen=True, slots=True)
class Built:
    """A model in memory.

    model: a torch module that answers; config: detectron2's own node; device: cpu or cuda.
    """

    model: Foreign
    config: Foreign
    classes: Classes
    device: str


def build(document: Document, *, device: str, names: Sequence[str] = ()) -> Built:
    """Build a model with random weights out of a configuration.

    document: without training's sections; names: of its classes, those that it counts first,
    where the configuration's data set is none that detectron2 knows.
    Raises SetupFailed when detectron2 cannot make a model of it.
    """
    configs = importlib.import_module("detectron2.config")
    modeling = importlib.import_module("detectron2.modeling")
    config = configs.get_cfg()
    try:
        # Of another node, never of a file: merging files is what runs Python.
        config.merge_from_other_cfg(configs.CfgNode(document))
        config.MODEL.DEVICE = device
        config.MODEL.WEIGHTS = ""
        classes = _classes(config, names)
        model = modeling.build_model(config).eval()
    except _MISFITS as error:
        raise SetupFailed(f"detectron2 makes no model of the configuration: {error}") from error
    model.requires_grad_(requires_grad=False)
    return Built(model, config, classes, device)


def fill(built: Built, checkpoint: Checkpoint) -> None:
    """Give a model its weights.

    Raises SetupFailed naming what does not fit: a model that is partly random answers nonsense.
    """
    torch = importlib.import_module("torch")
    tensors = {name: torch.from_numpy(array) for name, array in checkpoint.arrays.items()}
    state = built.model.state_dict()
    if checkpoint.by_likeness:
        loading = importlib.import_module("detectron2.checkpoint.c2_model_loading")
        is_caffe2 = checkpoint.author == "Caffe2"
        tensors = loading.align_and_update_state_dicts(state, tensors, c2_conversion=is_caffe2)
    needed = set(state).difference(_OF_CONFIG)
    given = {name for name in tensors if name not in _OF_CONFIG and _ANCHORS not in name}
    unlike = {name for name in needed & given if state[name].shape != tensors[name].shape}
    for what, found in (
        ("has none for", needed - given),
        ("has one too many,", given - needed),
        ("has another shape of", unlike),
    ):
        if found:
            raise SetupFailed(
                f"the weights do not fit the configuration: the file {what} {min(found)}"
                f" (and {len(found) - 1} more)"
            )
    built.model.load_state_dict({name: tensors[name] for name in needed}, strict=False)


def device() -> str:
    """Return where models run here: `cuda` where torch sees a GPU, else `cpu`."""
    return "cuda" if importlib.import_module("torch").cuda.is_available() else "cpu"


def _classes(config: Foreign, names: Sequence[str]) -> Classes:
    """Return the names of a configuration's classes: given ones, else those of its data set."""
    model = config.MODEL
    counts = model.META_ARCHITECTURE != "SemanticSegmentor"
    colours = model.META_ARCHITECTURE not in {"GeneralizedRCNN", "RetinaNet"}
    head = model.RETINANET if model.META_ARCHITECTURE == "RetinaNet" else model.ROI_HEADS
    things = head.NUM_CLASSES if counts else 0
    stuff = model.SEM_SEG_HEAD.NUM_CLASSES if colours else 0
    if names:
        found = Classes(tuple(names[:things]), tuple(names[things:]))
    else:
        catalog = importlib.import_module("detectron2.data").MetadataCatalog
        title = config.DATASETS.TEST[0] if config.DATASETS.TEST else ""
        # Asking for one that it does not know would make it.
        known = catalog.get(title).as_dict() if title in catalog.list() else {}
        found = Classes(
            tuple(known.get("thing_classes", ())) if counts else (),
            tuple(known.get("stuff_classes", ())) if colours else (),
        )
    if (len(found.things), len(found.stuff)) != (things, stuff):
        raise SetupFailed(
            f"the configuration tells {things} + {stuff} classes apart, and"
            f" {len(found.things)} + {len(found.stuff)} are named: name them with --classes"
        )
    return found
