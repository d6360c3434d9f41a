"""A detectron2 model, called in batches of pictures of any sizes, from any thread."""

import contextlib
import importlib
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smart_filter_workers.networks.coordinates import Box
from smart_filter_workers.networks.detectron2.model_builder import BuiltModel, ClassNames, Foreign
from smart_filter_workers.results import Srgb8

Bools: TypeAlias = NDArray[np.bool_]

# detectron2 pads every input to a multiple of this (its FPN halves five times).
SIDE_MULTIPLE_PX: Final = 32


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
