"""A model of detectron2, called in batches of pictures of any sizes, by any thread."""

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

from smart_filter_workers.networks.boxes import Box
from smart_filter_workers.networks.detectron2.building import Built, Classes, Foreign
from smart_filter_workers.results import Srgb8

Bools: TypeAlias = NDArray[np.bool_]

# detectron2 pads to it whatever it is given (its FPN halves five times).
SIDE_MULTIPLE_PX: Final = 32


@dataclass(frozen=True, slots=True)
class Options:
    """What may differ from call to call; None: as the configuration says.

    threshold: instances with a lower score, 0..1, are left out.
    short_side_px: pictures are resized to it; most: the most instances in a picture.
    overlap: of two instances of a class whose boxes overlap more (IoU), the better one stays.
    """

    threshold: float
    short_side_px: int | None = None
    most: int | None = None
    overlap: float | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """One thing in a picture.

    box: in the picture's pixels; score: 0..1.
    outline: (H, W) bool, where it is; None from a model that only draws boxes.
    """

    label: str
    score: float
    box: Box
    outline: Bools | None


@dataclass(frozen=True, slots=True)
class Seen:
    """What a model sees of the wanted classes in one picture.

    areas: by class, (H, W) bool, where there is something of it that is not counted, such as
    sky: from panoptic and semantic models only.
    """

    instances: tuple[Instance, ...]
    areas: Mapping[str, Bools]


class Predictor:
    """A model that any thread may call.

    One pass at a time: two at once would take twice the memory and no less time, because torch
    spreads one over the processor's cores or fills the GPU with it. The options are attributes
    of its modules, which is why they can differ between passes and not within one.
    """

    def __init__(self, built: Built) -> None:
        self._torch = importlib.import_module("torch")
        self._model = built.model
        self._config = built.config
        self._device = built.device
        self._lock = threading.Lock()
        self.classes = built.classes

    def __call__(
        self, pictures: Sequence[Srgb8], wanted: Sequence[str], options: Options
    ) -> list[Seen]:
        """Return what is seen of the wanted classes in each picture.

        pictures: (H, W, 3) uint8 sRGB each, of any sizes; those that are padded to the same size
        share a pass where there is a GPU: padded further, they would be seen otherwise.
        """
        alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
        inputs = [self._input(picture, options) for picture in pictures]
        for index, one in enumerate(inputs):
            # On a processor a batch takes its memory and gains no time.
            shape = tuple(-side // SIDE_MULTIPLE_PX for side in one["image"].shape[1:])
            alike[shape if self._device != "cpu" else (index,)].append(index)
        seen: dict[int, Seen] = {}
        for indices in alike.values():
            outputs = self._pass([inputs[index] for index in indices], options)
            for index, output in zip(indices, outputs, strict=True):
                seen[index] = _seen(output, self.classes, frozenset(wanted))
        return [seen[index] for index in range(len(pictures))]

    def _input(self, picture: Srgb8, options: Options) -> dict[str, Foreign]:
        height, width = picture.shape[:2]
        told = self._config.INPUT
        columns, rows = input_size(
            width,
            height,
            short_side_px=options.short_side_px or told.MIN_SIZE_TEST,
            long_side_px=told.MAX_SIZE_TEST,
        )
        # Bilinear with Pillow's antialiasing: what the zoo's models were trained with.
        resized = Image.fromarray(picture).resize((columns, rows), Image.Resampling.BILINEAR)
        channels = np.asarray(resized, dtype=np.float32)
        if told.FORMAT == "BGR":
            channels = channels[:, :, ::-1]
        planes = np.ascontiguousarray(channels.transpose(2, 0, 1))
        return {"image": self._torch.from_numpy(planes), "height": height, "width": width}

    def _pass(self, inputs: list[dict[str, Foreign]], options: Options) -> list[dict[str, Foreign]]:
        """Run the model; the answers' tensors are the processor's."""
        # Half precision where it is fast; `.half()` of the model fails in its anchors.
        fast = (
            self._torch.autocast("cuda", dtype=self._torch.float16)
            if self._device == "cuda"
            else contextlib.nullcontext()
        )
        with self._lock, self._torch.inference_mode(), fast, self._set(options):
            outputs: list[dict[str, Foreign]] = self._model(inputs)
        return outputs

    @contextlib.contextmanager
    def _set(self, options: Options) -> Iterator[None]:
        """Set the options where detectron2's modules look for them, and put back what was."""
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


def _seen(output: Mapping[str, Foreign], classes: Classes, wanted: frozenset[str]) -> Seen:
    """Bring what is wanted of one answer to the processor."""
    if "panoptic_seg" in output:
        return _seen_whole(output, classes, wanted)
    if "instances" in output:
        found = output["instances"]
        labels = [classes.things[index] for index in found.pred_classes.tolist()]
        has_outlines = found.has("pred_masks")
        instances = (
            Instance(
                label,
                score=float(found.scores[index]),
                box=_box(found, index),
                outline=_bools(found.pred_masks[index]) if has_outlines else None,
            )
            for index, label in enumerate(labels)
            if label in wanted
        )
        return Seen(tuple(instances), {})
    best = output["sem_seg"].argmax(dim=0)
    areas = {
        label: _bools(best == index) for index, label in enumerate(classes.stuff) if label in wanted
    }
    return Seen((), areas)


def _seen_whole(output: Mapping[str, Foreign], classes: Classes, wanted: frozenset[str]) -> Seen:
    """Read a panoptic answer, in which each pixel belongs to one segment at most."""
    segments, told = output["panoptic_seg"]
    found = output["instances"]
    instances = (
        Instance(
            classes.things[one["category_id"]],
            score=float(one["score"]),
            box=_box(found, one["instance_id"]),
            outline=_bools(segments == one["id"]),
        )
        for one in told
        if one["isthing"] and classes.things[one["category_id"]] in wanted
    )
    areas = {
        classes.stuff[one["category_id"]]: _bools(segments == one["id"])
        for one in told
        if not one["isthing"] and classes.stuff[one["category_id"]] in wanted
    }
    return Seen(tuple(instances), areas)


def _box(found: Foreign, index: int) -> Box:
    left, top, right, bottom = (float(side) for side in found.pred_boxes.tensor[index].tolist())
    return left, top, right, bottom


def _bools(tensor: Foreign) -> Bools:
    return np.asarray(tensor.cpu().numpy(), dtype=np.bool_)
