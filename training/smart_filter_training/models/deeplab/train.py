"""Train DeepLabV3+ for persons on COCO; the product's `onnx` model runs it."""

import contextlib
import hashlib
import importlib
import json
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.catalog.model_card import ENTRY_PARAMETER
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.pipeline import TaskName
from smart_filter_training import loop, preflight
from smart_filter_training.annotations import outlines, pictures, splits
from smart_filter_training.annotations.marks import AnnotatedPicture
from smart_filter_training.annotations.splits import SplitOptions, Splits
from smart_filter_training.card import TrainingCard
from smart_filter_training.evaluation import (
    confidence_intervals,
    measure_in_process,
    metrics,
    tasks,
)
from smart_filter_training.evaluation.confidence_intervals import Figure
from smart_filter_training.onnx_export import OPSET, PARITY, Exported
from smart_filter_training.preflight import Finding
from smart_filter_training.run_record import RunRecord
from smart_filter_training.torch_learner import TorchLearner
from smart_filter_workers.models import admission
from smart_filter_workers.networks.runtimes import network_input
from smart_filter_workers.networks.runtimes.network_input import Activation, Handling, TrainedTask
from smart_filter_workers.networks.runtimes.onnx_network import OnnxNetwork
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Doubles, Floats, Matte8, Srgb8
from smart_filter_workers.stages.segmentation.models import onnx
from smart_filter_workers.weights.allowlist import AdmittedFile

Torch: TypeAlias = Any  # torch is not installed where types are checked
Data: TypeAlias = Splits
# (H, W) uint8: 0 background, PERSON, NOT_COUNTED.
Classes: TypeAlias = NDArray[np.uint8]

CARD: Final = TrainingCard(
    TaskName.SEGMENTATION,
    "onnx",
    "deeplabv3plus.onnx",
    ("torch", "onnx", "pycocotools", "tensorboard"),
)
# The label to learn, unless `label` names another one.
LABEL: Final = "person"
PERSON: Final = 1
# Crowds, and the area outside a picture: it neither trains nor counts in figures.
NOT_COUNTED: Final = 255
# Mean and deviation by which levels 0..1 are normalized: those of ImageNet.
MEAN: Final = (0.485, 0.456, 0.406)
STD: Final = (0.229, 0.224, 0.225)
# The encoder halves a picture four times; each time its side must be even.
SIDE_MULTIPLE_PX: Final = 16
# Iterations from one point of the curves to the next.
CURVE_INTERVAL: Final = 10
# Pictures on which the exported network is compared.
_MAX_COMPARED: Final = 8


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings of a run.

    epochs: 0 to count `iterations`; iterations: 0 to count `epochs`.
    learning_rate: at the start; it falls as (1 − done/all)^power.
    width: channels of the encoder's first stage; each further one has twice as many.
    blocks: residual blocks of each of the four stages.
    channels: of the pyramid and of the decoder.
    crop: side of the crops and of the exported network's input, pixels.
    smallest, largest: the range by which pictures are scaled before they are cropped.
    clip: the longest gradient of all parameters together, 0 for any.
    label, annotations, validation, validation_share, most_faults: as in
        `annotations.splits.SplitOptions`; label "" for persons.
    checkpoint_every: iterations from one checkpoint to the next.
    """

    seed: int = 0
    epochs: int = 30
    iterations: int = 0
    batch_size: int = 8
    learning_rate: float = 0.01
    power: float = 0.9
    momentum: float = 0.9
    weight_decay: float = 1e-4
    clip: float = 5.0
    width: int = 32
    blocks: int = 2
    channels: int = 128
    crop: int = 320
    smallest: float = 0.5
    largest: float = 2.0
    label: str = ""
    annotations: str = ""
    validation: str = ""
    validation_share: float = 0.2
    most_faults: int = 0
    checkpoint_every: int = 500

    def __post_init__(self) -> None:
        """Refuse settings that cannot train.  Raises SetupFailed naming the first."""
        least = {
            "seed": 0,
            "epochs": 0,
            "iterations": 0,
            "batch_size": 1,
            "clip": 0,
            "width": 4,
            "blocks": 1,
            "channels": 8,
            "checkpoint_every": 1,
            "most_faults": 0,
        }
        preflight.require_least(self, least)
        if not self.epochs and not self.iterations:
            raise SetupFailed("epochs and iterations are both 0: set one of them")
        if self.crop % SIDE_MULTIPLE_PX or self.crop < 2 * SIDE_MULTIPLE_PX:
            raise SetupFailed(
                f"crop is {self.crop}: set a multiple of {SIDE_MULTIPLE_PX}, from"
                f" {2 * SIDE_MULTIPLE_PX}"
            )
        if not 0 < self.smallest <= self.largest:
            raise SetupFailed(f"smallest is {self.smallest}: set more than 0, at most `largest`")
        if not 0 < self.learning_rate <= 1:
            raise SetupFailed(f"learning_rate is {self.learning_rate}: set more than 0, at most 1")

    def count_steps(self, pictures: int) -> int:
        """Return the number of batches of a run."""
        return self.iterations or self.epochs * max(1, pictures // self.batch_size)


@dataclass(frozen=True, slots=True)
class Network:
    """A trained network, in evaluation mode, and its settings."""

    module: Torch
    configuration: Configuration


@dataclass(frozen=True, slots=True)
class Batches:
    """Endless batches of crops; each depends on the seed and its number alone."""

    pictures: Sequence[AnnotatedPicture]
    labels: Sequence[str]
    configuration: Configuration

    def make_batch(self, number: int) -> tuple[Floats, NDArray[np.int64]]:
        """Return (N, 3, S, S) float32 as the network takes them, and (N, S, S) int64 classes."""
        size = self.configuration.batch_size
        crops = [self._crop(place) for place in range(number * size, (number + 1) * size)]
        values = np.stack([normalize(srgb) for srgb, _ in crops])
        return values, np.stack([classes for _, classes in crops]).astype(np.int64)

    def _crop(self, place: int) -> tuple[Srgb8, Classes]:
        picture, rng = pictures.draw_picture(self.pictures, place, seed=self.configuration.seed)
        srgb, classes = pictures.load(picture), draw_classes(picture, self.labels)
        return crop_randomly(srgb, classes, self.configuration, rng)


def read_folder(folder: Path, configuration: Configuration) -> Data:
    """Read a folder of pictures with outlines of persons.  Raises FolderUnreadable."""
    return splits.read_splits(folder, SplitOptions.read(configuration, LABEL))


def check_data(folder: Path, configuration: Configuration) -> Iterator[Finding]:
    """Find the problems of a folder.  Raises FolderUnreadable."""
    yield from splits.check_data(folder, SplitOptions.read(configuration, LABEL))


def draw_classes(picture: AnnotatedPicture, labels: Sequence[str]) -> Classes:
    """Return (H, W) uint8: 0 background, PERSON, and NOT_COUNTED for crowds without a person."""
    classes = np.zeros((picture.height, picture.width), np.uint8)
    # Single persons are drawn over crowds.
    for mark in sorted(picture.marks, key=lambda mark: not mark.is_crowd):
        if mark.label in labels:
            inside = outlines.draw(mark, picture.width, picture.height)
            classes[inside] = NOT_COUNTED if mark.is_crowd else PERSON
    return classes


def crop_randomly(
    srgb: Srgb8, classes: Classes, configuration: Configuration, rng: np.random.Generator
) -> tuple[Srgb8, Classes]:
    """Return a square of a picture, scaled and perhaps mirrored, and its classes.

    srgb: (H, W, 3) uint8; classes: (H, W).  The area outside the picture is NOT_COUNTED.
    """
    side = configuration.crop
    height, width = classes.shape
    # At a scale of one, a crop shows the whole picture.
    scale = rng.uniform(configuration.smallest, configuration.largest)
    scale *= side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = cv2.resize(srgb, size, interpolation=method)
    scaled_classes = cv2.resize(classes, size, interpolation=cv2.INTER_NEAREST)
    left, top = (int(rng.integers(max(0, length - side) + 1)) for length in size)
    part = scaled[top : top + side, left : left + side]
    right, below = side - part.shape[1], side - part.shape[0]
    gray = [round(255 * level) for level in MEAN]
    part = cv2.copyMakeBorder(part, 0, below, 0, right, cv2.BORDER_CONSTANT, value=gray)
    cut = scaled_classes[top : top + side, left : left + side]
    cut = cv2.copyMakeBorder(cut, 0, below, 0, right, cv2.BORDER_CONSTANT, value=NOT_COUNTED)
    if rng.random() < 0.5:  # noqa: PLR2004 - half of them
        part, cut = part[:, ::-1], cut[:, ::-1]
    return np.asarray(part, np.uint8), np.asarray(cut, np.uint8)


def normalize(srgb: Srgb8) -> Floats:
    """Return (3, H, W) float32 of (H, W, 3) uint8: levels 0..1, less MEAN, divided by STD."""
    values = (srgb / np.float32(255) - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    return np.ascontiguousarray(values.transpose(2, 0, 1), dtype=np.float32)


def train(data: Data, configuration: Configuration, record: RunRecord) -> Network:
    """Train by stochastic gradient descent, or resume the record's run.

    Raises SetupFailed when the checkpoint cannot be read.
    """
    torch = importlib.import_module("torch")
    torch.manual_seed(configuration.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        record.note(device="cpu: torch has no GPU; a run takes about fifty times as long")
    module = build_network(configuration).to(device)
    shown = pictures.select_marked(data.train)
    steps = configuration.count_steps(len(shown))
    learner = TorchLearner(
        module=module.train(),
        optimizer=torch.optim.SGD(
            module.parameters(),
            lr=configuration.learning_rate,
            momentum=configuration.momentum,
            weight_decay=configuration.weight_decay,
        ),
        compute_losses=partial(_compute_losses, module),
        rates=partial(_rates, configuration, steps),
        seed=configuration.seed,
        clip=configuration.clip,
    )
    plan = loop.Plan(steps, CURVE_INTERVAL, configuration.checkpoint_every)
    loop.train(learner, Batches(shown, data.labels, configuration).make_batch, plan, record)
    return Network(module.eval(), configuration)


def build_network(configuration: Configuration) -> Torch:
    """Return the network with random weights."""
    # Reading and checking data needs no framework.
    from smart_filter_training.models.deeplab.network import DeepLab  # noqa: PLC0415

    return DeepLab(
        configuration.crop,
        width=configuration.width,
        blocks=configuration.blocks,
        channels=configuration.channels,
    )


def compute_figures(network: Network, data: Data) -> Mapping[str, Figure]:
    """Return the mean IoU of the validation pictures; crowds do not count."""
    rows = []
    for picture in data.validation:
        classes = draw_classes(picture, data.labels)
        matte = _predict_matte(network, pictures.load(picture))
        truth = np.where(classes == PERSON, np.uint8(255), np.uint8(0))
        rows.append([metrics.matte_iou(matte, truth, classes != NOT_COUNTED)])
    return confidence_intervals.compute_figures(np.array(rows, np.float64), _figures)


def measure(file: Path, folder: Path) -> Mapping[str, Figure]:
    """Return the figures of the exported file on photos with masks, by the product's model.

    file: the exported network, with its handling in the JSON file of the same name; folder: as
    `smart-filter eval` takes it.
    Raises FolderUnreadable, and SetupFailed when the product refuses the file.
    """
    with tempfile.TemporaryDirectory() as scratch:
        weights = Path(scratch)
        entry = Path(CARD.file).stem
        admitted = AdmittedFile(
            name="",
            sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
            kind=CARD.model,
            entry=entry,
            handling=_read_handling(file),
        )
        admission.admit_file(weights, file, admitted)
        model = partial(
            onnx.load(weights), parameters=onnx.CARD.completed({ENTRY_PARAMETER: entry})
        )
        return measure_in_process.measure_model(tasks.get_task(CARD.task), model, folder)


def export(network: Network, data: Data, folder: Path) -> Exported:
    """Write the network as ONNX, and how the product's `onnx` model uses it as JSON.

    Raises SetupFailed when its answers to validation pictures differ from the network's.
    """
    torch = importlib.import_module("torch")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / CARD.file
    partial_file = file.with_suffix(".part")
    side = network.configuration.crop
    network.module.cpu()
    with warnings.catch_warnings():
        # The newer exporter needs another package and writes the same network.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            network.module,
            (torch.zeros(1, 3, side, side),),
            str(partial_file),
            dynamo=False,
            opset_version=OPSET,
            input_names=["picture"],
            output_names=["scores"],
        )
    handling = make_handling(side)
    exported = OnnxNetwork(partial_file.read_bytes())
    worst = 0.0
    for picture in data.validation[:_MAX_COMPARED]:
        srgb = pictures.load(picture)
        (answer,) = exported(network_input.prepare(srgb, handling).values)
        worst = max(worst, float(np.abs(answer[0] - _predict(network, srgb)).max()))
    if worst > PARITY:
        raise SetupFailed(
            f"the answers of {CARD.file} differ from the network's by {worst:.2g}, at most {PARITY}"
        )
    text = json.dumps(handling.non_defaults, indent=2)
    file.with_suffix(".json").write_text(f"{text}\n", encoding="utf-8")
    partial_file.replace(file)
    return Exported(file, worst)


def make_handling(side_px: int) -> Handling:
    """Return how the product uses a network with an input of this side."""
    return Handling(
        width=side_px,
        height=side_px,
        mean=MEAN,
        std=STD,
        channel=PERSON,
        activation=Activation.SOFTMAX,
        task=TrainedTask.SEGMENTATION,
    )


def _rates(configuration: Configuration, steps: int, number: int) -> list[float]:
    return [configuration.learning_rate * (1 - number / steps) ** configuration.power]


def _compute_losses(
    module: Torch, batch: tuple[Floats, NDArray[np.int64]]
) -> tuple[dict[str, Torch], dict[str, float]]:
    """Return the entropy of a batch."""
    torch = importlib.import_module("torch")
    device = next(module.parameters()).device
    inputs, classes = (torch.as_tensor(array).to(device) for array in batch)
    is_fast = device.type == "cuda"
    with torch.autocast("cuda", torch.float16) if is_fast else contextlib.nullcontext():
        scores = module(inputs)
    total = torch.nn.functional.cross_entropy(
        scores.float(), classes, ignore_index=NOT_COUNTED, reduction="sum"
    )
    # In a batch of crowds alone, no pixel counts.
    return {"loss": total / (classes != NOT_COUNTED).sum().clamp(min=1)}, {}


def _predict(network: Network, srgb: Srgb8) -> Doubles:
    """Return (2, S, S) float64: the scores of background and person.

    srgb: (H, W, 3) uint8, prepared for the network as in the product.
    """
    torch = importlib.import_module("torch")
    values = network_input.prepare(srgb, make_handling(network.configuration.crop)).values
    device = next(network.module.parameters()).device
    with torch.inference_mode():
        scores = network.module(torch.from_numpy(values).to(device))[0]
    return np.asarray(scores.cpu().numpy(), np.float64)


def _predict_matte(network: Network, srgb: Srgb8) -> Matte8:
    background, person = _predict(network, srgb)
    coverage = 1 / (1 + np.exp(background - person))
    size = (srgb.shape[1], srgb.shape[0])
    resized = cv2.resize(coverage.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.rint(255 * resized), np.uint8)


def _figures(numbers: Doubles, weights: Doubles) -> Mapping[str, float]:
    return {"iou": metrics.weighted_mean(numbers[:, 0], weights)}


def _read_handling(file: Path) -> dict[str, Any]:  # Any: admission checks it
    document = file.with_suffix(".json")
    try:
        return cast("dict[str, Any]", json.loads(document.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise SetupFailed(
            f"{document} has the handling of the network and cannot be read"
        ) from error
