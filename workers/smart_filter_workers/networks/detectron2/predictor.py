"""A detectron2 model, called in batches of pictures of any sizes, from any thread.

It is built from data, with arrays that must fit it.
"""

import contextlib
import importlib
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from PIL import Image

from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.networks.coordinates import Box
from smart_filter_workers.networks.detectron2.checkpoints import Checkpoint
from smart_filter_workers.networks.detectron2.configs import Document
from smart_filter_workers.results import Bools, Srgb8

# detectron2 pads every input to a multiple of this (its FPN halves five times).
SIDE_MULTIPLE_PX: Final = 32

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


@dataclass(frozen=True, slots=True)
class PredictOptions:
    """Options that may differ between calls; None uses the configuration's value.

    threshold: instances with a lower score, 0..1, are left out.
    short_side_px: pictures are resized to it; most: the most instances in a picture.
    overlap: of two instances of a class whose boxes overlap more (IoU), the better-scored one is
    kept.
    """

    threshold: float
    short_side_px: int | None = None
    most: int | None = None
    overlap: float | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """One object in a picture.

    box: in the picture's pixels; score: 0..1.
    outline: (H, W) bool; None from a model that only returns boxes.
    """

    label: str
    score: float
    box: Box
    outline: Bools | None


@dataclass(frozen=True, slots=True)
class Prediction:
    """The requested classes in one picture, as the model finds them.

    areas: (H, W) bool by class, for uncountable ones such as sky; from panoptic and semantic models
    only.
    """

    instances: tuple[Instance, ...]
    areas: Mapping[str, Bools]


class Predictor:
    """A model, callable from any thread.

    It runs one pass at a time: two at once would take twice the memory and no less time, because
    torch spreads one pass over the processor's cores or fills the GPU with it. Options are
    attributes of its modules, so they can differ between passes and not within one.
    """

    def __init__(self, built: BuiltModel) -> None:
        self._torch = importlib.import_module("torch")
        self._model = built.model
        self._config = built.config
        self._device = built.device
        self._lock = threading.Lock()
        self.classes = built.classes

    def __call__(
        self, pictures: Sequence[Srgb8], wanted: Sequence[str], options: PredictOptions
    ) -> list[Prediction]:
        """Return the instances and areas of the requested classes in each picture.

        pictures: (H, W, 3) uint8 sRGB each, of any sizes. On a GPU, pictures padded to the same
        size share a pass; padding further would change their results.
        """
        alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
        inputs = [self._input(picture, options) for picture in pictures]
        for index, entry in enumerate(inputs):
            # On a CPU a batch takes more memory and saves no time.
            shape = tuple(-side // SIDE_MULTIPLE_PX for side in entry["image"].shape[1:])
            alike[shape if self._device != "cpu" else (index,)].append(index)
        seen: dict[int, Prediction] = {}
        for indices in alike.values():
            outputs = self._run_model([inputs[index] for index in indices], options)
            for index, output in zip(indices, outputs, strict=True):
                seen[index] = _read_instances(output, self.classes, frozenset(wanted))
        return [seen[index] for index in range(len(pictures))]

    def _input(self, picture: Srgb8, options: PredictOptions) -> dict[str, Foreign]:
        height, width = picture.shape[:2]
        settings = self._config.INPUT
        columns, rows = input_size(
            width,
            height,
            short_side_px=options.short_side_px or settings.MIN_SIZE_TEST,
            long_side_px=settings.MAX_SIZE_TEST,
        )
        # Bilinear with Pillow's antialiasing, as in the training of the zoo's models.
        resized = Image.fromarray(picture).resize((columns, rows), Image.Resampling.BILINEAR)
        channels = np.asarray(resized, dtype=np.float32)
        if settings.FORMAT == "BGR":
            channels = channels[:, :, ::-1]
        planes = np.ascontiguousarray(channels.transpose(2, 0, 1))
        return {"image": self._torch.from_numpy(planes), "height": height, "width": width}

    def _run_model(
        self, inputs: list[dict[str, Foreign]], options: PredictOptions
    ) -> list[dict[str, Foreign]]:
        """Return the model's outputs; their tensors are on its device."""
        # Half precision where it is fast; `.half()` on the model fails in its anchors.
        fast = (
            self._torch.autocast("cuda", dtype=self._torch.float16)
            if self._device == "cuda"
            else contextlib.nullcontext()
        )
        with self._lock, self._torch.inference_mode(), fast, self._apply_options(options):
            outputs: list[dict[str, Foreign]] = self._model(inputs)
        return outputs

    @contextlib.contextmanager
    def _apply_options(self, options: PredictOptions) -> Iterator[None]:
        """Set the options as attributes of detectron2's modules, and restore them afterwards."""
        values = {
            "test_score_thresh": options.threshold,
            "combine_instances_score_thresh": options.threshold,
            "test_topk_per_image": options.most,
            "max_detections_per_image": options.most,
            "test_nms_thresh": options.overlap,
        }
        before = [
            (module, name, getattr(module, name))
            for module in self._model.modules()
            for name, value in values.items()
            if value is not None and hasattr(module, name)
        ]
        for module, name, _ in before:
            setattr(module, name, values[name])
        try:
            yield
        finally:
            for module, name, value in before:
                setattr(module, name, value)


def input_size(
    width: int, height: int, *, short_side_px: int, long_side_px: int
) -> tuple[int, int]:
    """Return width and height of a model's input for a picture.

    The shorter side becomes `short_side_px`, unless the longer would exceed `long_side_px`.
    Source: detectron2, ResizeShortestEdge.get_output_shape.
    """
    scale = short_side_px / min(width, height)
    if scale * max(width, height) > long_side_px:
        scale = long_side_px / max(width, height)
    return max(1, int(width * scale + 0.5)), max(1, int(height * scale + 0.5))


def _read_instances(
    output: Mapping[str, Foreign], classes: ClassNames, wanted: frozenset[str]
) -> Prediction:
    """Return the requested classes of one output, as NumPy arrays."""
    if "panoptic_seg" in output:
        return _read_panoptic(output, classes, wanted)
    if "instances" in output:
        predicted = output["instances"]
        labels = [classes.things[index] for index in predicted.pred_classes.tolist()]
        has_outlines = predicted.has("pred_masks")
        instances = (
            Instance(
                label,
                score=float(predicted.scores[index]),
                box=_box(predicted, index),
                outline=_bools(predicted.pred_masks[index]) if has_outlines else None,
            )
            for index, label in enumerate(labels)
            if label in wanted
        )
        return Prediction(tuple(instances), {})
    best = output["sem_seg"].argmax(dim=0)
    areas = {
        label: _bools(best == index) for index, label in enumerate(classes.stuff) if label in wanted
    }
    return Prediction((), areas)


def _read_panoptic(
    output: Mapping[str, Foreign], classes: ClassNames, wanted: frozenset[str]
) -> Prediction:
    """Return a panoptic output, in which each pixel belongs to at most one segment."""
    segments, entries = output["panoptic_seg"]
    predicted = output["instances"]
    instances = (
        Instance(
            classes.things[entry["category_id"]],
            score=float(entry["score"]),
            box=_box(predicted, entry["instance_id"]),
            outline=_bools(segments == entry["id"]),
        )
        for entry in entries
        if entry["isthing"] and classes.things[entry["category_id"]] in wanted
    )
    areas = {
        classes.stuff[entry["category_id"]]: _bools(segments == entry["id"])
        for entry in entries
        if not entry["isthing"] and classes.stuff[entry["category_id"]] in wanted
    }
    return Prediction(tuple(instances), areas)


def _box(instances: Foreign, index: int) -> Box:
    left, top, right, bottom = (float(side) for side in instances.pred_boxes.tensor[index].tolist())
    return left, top, right, bottom


def _bools(tensor: Foreign) -> Bools:
    return np.asarray(tensor.cpu().numpy(), dtype=np.bool_)
