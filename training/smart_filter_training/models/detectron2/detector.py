"""Train a detector with detectron2's own losses, optimizer and schedule."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smart_filter_shared.errors import SetupFailed
from smart_filter_training import loop
from smart_filter_training.annotations import outlines, pictures
from smart_filter_training.annotations.marks import AnnotatedPicture, Mark
from smart_filter_training.annotations.splits import Splits
from smart_filter_training.models.detectron2.configuration import (
    Configuration,
    build_network,
    configure_solver,
    to_yaml,
)
from smart_filter_training.run_record import RunRecord
from smart_filter_training.torch_learner import TorchLearner
from smart_filter_workers.networks.detectron2 import checkpoints
from smart_filter_workers.networks.detectron2.predictor import BuiltModel, Foreign, input_size
from smart_filter_workers.results import Bools, Floats, Srgb8
from smart_filter_workers.weights import files

# Iterations from one point of the curves to the next.
CURVE_INTERVAL: Final = 10
# The divisor of RetinaNet's losses, a running mean that its state leaves out.
_MEAN: Final = "loss_normalizer"
_BACKBONE: Final = "backbone.bottom_up."
# The statistics of its files are merged into the scales of the normalization.
_CAFFE2: Final = "Caffe2"


@dataclass(frozen=True, slots=True)
class Detector:
    """A trained network.

    text: its configuration for `models admit`; configuration: the settings of its training.
    """

    built: BuiltModel
    text: str
    configuration: Configuration


@dataclass(frozen=True, slots=True)
class Example:
    """A picture as the network sees it.

    srgb: (h, w, 3) uint8; boxes: (N, 4) float32, left, top, right and bottom in its pixels.
    classes: (N,) int64; inside: (N, h, w) bool, the pixels of each, None without outlines.
    """

    srgb: Srgb8
    boxes: Floats
    classes: NDArray[np.int64]
    inside: Bools | None


@dataclass(frozen=True, slots=True)
class Batches:
    """Endless batches of marked pictures; each depends on the seed and its number alone.

    labels: in the order of the network's classes; order: "BGR" or "RGB", by the network.
    masks: whether outlines are learned too.
    """

    pictures: Sequence[AnnotatedPicture]
    labels: Sequence[str]
    configuration: Configuration
    order: str
    masks: bool

    def make_batch(self, number: int) -> list[dict[str, Foreign]]:
        """Return one batch, as detectron2's models take it."""
        return [_to_detectron2(example, self.order) for example in self.examples(number)]

    def examples(self, number: int) -> list[Example]:
        """Return the examples of one batch."""
        size = self.configuration.batch_size
        return [self._example(place) for place in range(number * size, (number + 1) * size)]

    def _example(self, place: int) -> Example:
        picture, rng = pictures.draw_picture(self.pictures, place, seed=self.configuration.seed)
        short_side = self.configuration.short_side
        return make_example(
            picture,
            self.labels,
            short_side_px=int(
                rng.integers(round(self.configuration.smallest * short_side), short_side + 1)
            ),
            long_side_px=self.configuration.long_side,
            is_mirrored=bool(rng.random() < 0.5),  # noqa: PLR2004 - half of them
            masks=self.masks,
        )


def train(
    splits: Splits,
    configuration: Configuration,
    record: RunRecord,
    *,
    architectures: Sequence[str],
    label: str,
) -> Detector:
    """Train a network on pictures, or resume the record's run.

    architectures: the allowed ones, the default first; label: the name of the network's class.
    Raises SetupFailed when the configuration or the weights to start with do not fit, or the
    checkpoint cannot be read.
    """
    architecture = configuration.architecture or architectures[0]
    if architecture not in architectures:
        raise SetupFailed(f"architecture is {architecture!r}: set {' or '.join(architectures)}")
    torch = importlib.import_module("torch")
    solver = importlib.import_module("detectron2.solver")
    torch.manual_seed(configuration.seed)
    text = to_yaml(configuration, architecture, len(splits.labels))
    network = build_network(text, (label,))
    _load_start(network, configuration, record)
    node = configure_solver(network, configuration)
    model = network.model
    optimizer = solver.build_optimizer(node, model)
    batches = Batches(
        pictures=pictures.select_marked(splits.train),
        labels=splits.labels,
        configuration=configuration,
        order=node.INPUT.FORMAT,
        masks=node.MODEL.MASK_ON,
    )
    learner = TorchLearner(
        module=model.train(),
        optimizer=optimizer,
        compute_losses=partial(_compute_losses, model, node),
        rates=partial(_rates, solver.build_lr_scheduler(node, optimizer)),
        seed=configuration.seed,
        others={_MEAN: _LossMean(model)},
    )
    plan = loop.Plan(configuration.iterations, CURVE_INTERVAL, configuration.checkpoint_every)
    loop.train(learner, batches.make_batch, plan, record)
    model.eval().requires_grad_(requires_grad=False)
    return Detector(network, text, configuration)


def make_example(
    picture: AnnotatedPicture,
    labels: Sequence[str],
    *,
    short_side_px: int,
    long_side_px: int,
    is_mirrored: bool,
    masks: bool,
) -> Example:
    """Return a picture at a size, perhaps mirrored, with its marks except crowds.

    Raises FolderUnreadable when it cannot be decoded.
    """
    srgb = pictures.load(picture)
    height, width = srgb.shape[:2]
    across, down = input_size(width, height, short_side_px=short_side_px, long_side_px=long_side_px)
    resized = np.asarray(
        # The method of the product's own predictor.
        Image.fromarray(srgb).resize((across, down), Image.Resampling.BILINEAR)
    )
    marks = [mark for mark in picture.marks if not mark.is_crowd and mark.label in labels]
    scale = np.array((across / width, down / height) * 2, np.float32)
    boxes = np.array([mark.box for mark in marks], np.float32).reshape(-1, 4) * scale
    inside = _draw_outlines(marks, width, height, (across, down)) if masks else None
    if is_mirrored:
        resized = resized[:, ::-1]
        boxes = np.stack([across - boxes[:, 2], boxes[:, 1], across - boxes[:, 0], boxes[:, 3]], 1)
        inside = inside if inside is None else inside[:, :, ::-1]
    classes = np.array([labels.index(mark.label) for mark in marks], np.int64)
    return Example(resized, boxes, classes, inside)


def _draw_outlines(marks: Sequence[Mark], width: int, height: int, size: tuple[int, int]) -> Bools:
    """Return the pixels of each mark at a size (across, down): (N, down, across) bool."""
    drawn = [
        np.asarray(
            Image.fromarray(outlines.draw(mark, width, height)).resize(
                size, Image.Resampling.NEAREST
            ),
            dtype=np.bool_,
        )
        for mark in marks
    ]
    return np.array(drawn, np.bool_).reshape(-1, size[1], size[0])


def _to_detectron2(example: Example, order: str) -> dict[str, Foreign]:
    """Return an example in detectron2's own types."""
    torch = importlib.import_module("torch")
    structures = importlib.import_module("detectron2.structures")
    channels = example.srgb[:, :, ::-1] if order == "BGR" else example.srgb
    height, width = example.srgb.shape[:2]
    instances = structures.Instances((height, width))
    instances.gt_boxes = structures.Boxes(torch.from_numpy(np.ascontiguousarray(example.boxes)))
    instances.gt_classes = torch.from_numpy(example.classes)
    if example.inside is not None:
        instances.gt_masks = structures.BitMasks(
            torch.from_numpy(np.ascontiguousarray(example.inside))
        )
    planes = np.ascontiguousarray(channels.transpose(2, 0, 1), dtype=np.float32)
    return {
        "image": torch.from_numpy(planes),
        "height": height,
        "width": width,
        "instances": instances,
    }


def _load_start(network: BuiltModel, configuration: Configuration, record: RunRecord) -> None:
    """Load the weights to start with, and freeze the stages that training does not change."""
    if configuration.weights:
        random = _load_weights(network, Path(configuration.weights))
        record.note(begins_with=configuration.weights, random=list(random))
    else:
        record.note(begins_with="random weights; set `weights` to a file of the zoo to fine-tune")
    if network.device == "cpu":
        record.note(
            device="cpu: torch has no GPU; an iteration takes seconds, not tenths of a second"
        )
    network.model.requires_grad_(requires_grad=True)
    network.model.backbone.bottom_up.freeze(configuration.frozen_stages)


def _load_weights(network: BuiltModel, path: Path) -> tuple[str, ...]:
    """Load the weights of a file that fit a network; return the names that stay random.

    path: an `.npz` of arrays, or one of the zoo's pickles, read as arrays only.
    Weights of another shape, such as the head for other classes, stay random.
    Raises SetupFailed when it cannot be read, or lacks a part of the backbone.
    """
    torch = importlib.import_module("torch")
    checkpoint = checkpoints.parse(files.read_content(path), path.name)
    state = network.model.state_dict()
    weights = {name: torch.from_numpy(array) for name, array in checkpoint.arrays.items()}
    if checkpoint.by_likeness:
        loading = importlib.import_module("detectron2.checkpoint.c2_model_loading")
        is_caffe2 = checkpoint.author == _CAFFE2
        weights = loading.align_and_update_state_dicts(state, weights, c2_conversion=is_caffe2)
    matching = {
        name: value
        for name, value in weights.items()
        if name in state and state[name].shape == value.shape
    }
    random = tuple(sorted(set(state) - set(matching)))
    needed = [name for name in random if name.startswith(_BACKBONE)]
    if needed and (checkpoint.author != _CAFFE2 or not matching):
        raise SetupFailed(
            f"{path.name} has no weights for {needed[0]} (and {len(needed) - 1} more): it belongs"
            " to another architecture; set `depth` and `norm` as in its own configuration"
        )
    network.model.load_state_dict(matching, strict=False)
    return random


@dataclass(frozen=True, slots=True)
class _LossMean:
    """The running mean by which RetinaNet divides its losses; its own state leaves it out."""

    model: Foreign

    def state_dict(self) -> Mapping[str, Foreign]:
        """Return the mean; nothing for other networks, and before the first batch."""
        mean = getattr(self.model, _MEAN, None)
        return {} if mean is None else {_MEAN: mean}

    def load_state_dict(self, state: Mapping[str, Foreign]) -> None:
        """Restore the mean."""
        if state:
            setattr(self.model, _MEAN, state[_MEAN])


def _rates(schedule: Foreign, number: int) -> Sequence[float]:
    """Return what detectron2's schedule gives each group of parameters at an iteration."""
    schedule.last_epoch = number
    rates: Sequence[float] = schedule.get_lr()
    return rates


def _compute_losses(
    model: Foreign, node: Foreign, batch: list[dict[str, Foreign]]
) -> tuple[Mapping[str, Foreign], Mapping[str, float]]:
    """Return the losses of a batch, and what the network says about it."""
    torch = importlib.import_module("torch")
    events = importlib.import_module("detectron2.utils.events")
    with events.EventStorage() as storage, torch.autocast("cuda", enabled=node.SOLVER.AMP.ENABLED):
        losses = model(batch)
    return losses, {name: float(value) for name, (value, _) in storage.latest().items()}
