"""Train the network that refines mattes."""

import copy
import importlib
import math
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from smart_filter_shared.config.paths import data_folder
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.pipeline import TaskName
from smart_filter_training import loop
from smart_filter_training.card import TrainingCard
from smart_filter_training.evaluation import (
    confidence_intervals,
    measure_in_process,
    metrics,
    tasks,
)
from smart_filter_training.evaluation.confidence_intervals import Figure
from smart_filter_training.models.refiner import batches
from smart_filter_training.models.refiner.batches import Batches, Example
from smart_filter_training.models.refiner.faults import Sample
from smart_filter_training.models.unet import pairs
from smart_filter_training.models.unet import train as unet
from smart_filter_training.models.unet.pairs import Pair
from smart_filter_training.onnx_export import Exported
from smart_filter_training.preflight import Finding
from smart_filter_training.run_record import RunRecord
from smart_filter_training.torch_learner import TorchLearner
from smart_filter_workers.networks.coverage import modnet
from smart_filter_workers.networks.runtimes import onnx_network
from smart_filter_workers.networks.runtimes.network_input import sigmoid
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import Doubles, Floats, Matte8
from smart_filter_workers.stages.segmentation.models import people
from smart_filter_workers.stages.segmentation.regions import Region, find_people
from smart_filter_workers.weights import files

Torch: TypeAlias = Any  # torch is not installed where types are checked

CARD: Final = TrainingCard(
    TaskName.SEGMENTATION,
    "people",
    "refiner.onnx",
    ("torch", "onnx", "tensorboard"),
)

# Iterations from one point of the curves to the next, and to the next checkpoint.
CURVE_INTERVAL, CHECKPOINT_INTERVAL = 25, 100
# The rate rises for this number of iterations; it ends at this share, so that the last ones count.
WARM_UP, LAST_RATE = 50, 0.005
# MODNet does not have the other parameters, which start from nothing.
ADDED_RATE: Final = 5
MAX_GRADIENT: Final = 1.0
# The exported weights are a mean over the last 200 iterations or so.
AVERAGED: Final = 0.995
# The weights are at last this share of the trained ones and the rest of MODNet's: with fewer
# photos in the wild than elsewhere, the trained ones alone lose more there.
# Source: Wortsman et al. 2022, "Robust fine-tuning of zero-shot models".
TRAINED_SHARE: Final = 0.8
# The loss: a pixel within 4 of an outline counts 2.5 times, and the overlap this much.
EDGE_PX, EDGE_WEIGHT, OVERLAP_WEIGHT = 9, 1.5, 0.7
# The largest difference of the mean IoU that few bits may cause: of 154 photos none differed by
# more than 0.0013, and their mean differed by 0.00002.
MAX_LOSS: Final = 0.002
# Training photos that set the ranges of the values of eight bits.
_MAX_CALIBRATED: Final = 30
# Photos on which the exported network is compared.
_MAX_COMPARED: Final = 24


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings of a run; the weights in the repository were made with nearly the defaults.

    smallest_px, largest_px: crops have about as many pixels as squares of these sides.
    source_weights: how often photos of a source are drawn, `name=number` separated by commas; 1 for
        other sources.
    left_out: sources that only validate, separated by commas.
    composites_share: the share of photos whose people are also put in front of another background.
    weights: the weights folder of the product, "" for the usual one.
    examples: a folder that keeps what the product's networks see in the photos, "" for none.
    """

    seed: int = 0
    iterations: int = 1250
    batch_size: int = 6
    learning_rate: float = 2.5e-4
    weight_decay: float = 1e-4
    smallest_px: int = 216
    largest_px: int = 288
    source_weights: str = "ccp=2.2,coc=4,foo=1.6,pic=0.45,vik=1.6,voc=4"
    left_out: str = ""
    composites_share: float = 0.4
    validation_share: float = 0.2
    weights: str = ""
    examples: str = ""

    def __post_init__(self) -> None:
        """Refuse settings that cannot train.  Raises SetupFailed naming the first."""
        least = modnet.FORM.side_multiple_px
        if not least <= self.smallest_px <= self.largest_px:
            raise SetupFailed(f"smallest_px is {self.smallest_px}: set from {least} to largest_px")
        self.weigh_source("")

    @property
    def weights_folder(self) -> Path:
        """The weights folder of the product."""
        return Path(self.weights or data_folder() / "weights")

    def weigh_source(self, source: str) -> float:
        """Return how often a photo of a source is drawn.  Raises SetupFailed."""
        try:
            weights = dict(part.split("=") for part in self.source_weights.split(",") if part)
            return float(weights.get(source, 1))
        except ValueError as error:
            raise SetupFailed(
                f"source_weights is {self.source_weights}: set name=number, separated by commas"
            ) from error


@dataclass(frozen=True)
class Data:
    """Pairs to train on and to validate on.

    digest: SHA-256 of names, photos and masks.  weights, examples: as in Configuration.
    """

    train: tuple[Pair, ...]
    checked: tuple[Pair, ...]
    digest: str
    weights: Path
    examples: Path | None = None

    @cached_property
    def validation(self) -> list[Example]:
        """The examples to validate on."""
        return batches.read_examples(self.checked, self.weights, folder=self.examples)


@dataclass(frozen=True, slots=True)
class Network:
    """A network in torch."""

    module: Torch

    def __call__(self, inputs: Floats) -> Floats:
        """Return the logits of the coverage: (n, 1, H, W) float32.  inputs: (n, 4, H, W)."""
        torch = importlib.import_module("torch")
        with torch.inference_mode():
            logits = self.module(torch.from_numpy(inputs))
        return np.asarray(logits.numpy(), np.float32)


class StoredNetwork:
    """An exported network, callable like the network in torch."""

    def __init__(self, file: Path) -> None:
        self._session = onnx_network.load_library().InferenceSession(
            file.read_bytes(), providers=["CPUExecutionProvider"]
        )

    def __call__(self, inputs: Floats) -> Floats:
        """Return the logits of the coverage: (n, 1, H, W) float32.  inputs: (n, 4, H, W)."""
        (logits,) = self._session.run(None, {"picture_and_matte": inputs})
        return np.asarray(logits, np.float32)


Answering: TypeAlias = Network | StoredNetwork


def read_folder(folder: Path, configuration: Configuration) -> Data:
    """Find the pairs of a folder and split them.  Raises FolderUnreadable in one line."""
    pairs = unet.read_folder(
        folder, unet.Configuration(validation_share=configuration.validation_share)
    )
    left_out = {source for source in configuration.left_out.split(",") if source}
    train, moved = (
        tuple(pair for pair in pairs.train.pairs if (pair.source in left_out) is is_out)
        for is_out in (False, True)
    )
    return Data(
        train,
        (*pairs.validation.pairs, *moved),
        pairs.digest,
        configuration.weights_folder,
        Path(configuration.examples) if configuration.examples else None,
    )


def check_data(folder: Path, configuration: Configuration) -> Iterator[Finding]:
    """Find the problems of a folder: each file is read."""
    return pairs.check_data(folder, validation_share=configuration.validation_share)


def train(data: Data, configuration: Configuration, record: RunRecord) -> Network:
    """Train on faulty crops, or resume the record's run.

    Raises SetupFailed when the checkpoint cannot be read.
    """
    torch = importlib.import_module("torch")
    module = build_network(configuration).module
    average = copy.deepcopy(module)
    added = {id(part) for part in module.added}
    carried = [each for each in module.parameters() if each.requires_grad and id(each) not in added]
    learner = TorchLearner(
        module=module,
        optimizer=torch.optim.AdamW(
            [{"params": carried}, {"params": module.added}],
            lr=configuration.learning_rate,
            weight_decay=configuration.weight_decay,
        ),
        compute_losses=partial(_compute_losses, module),
        rates=partial(_rates, configuration),
        seed=configuration.seed,
        clip=MAX_GRADIENT,
        average=average,
        averaged=AVERAGED,
    )
    examples = batches.read_examples(
        data.train,
        data.weights,
        composites_share=configuration.composites_share,
        folder=data.examples,
    )
    crops = Batches(
        examples,
        [configuration.weigh_source(example.source) for example in examples],
        size=configuration.batch_size,
        sides_px=(configuration.smallest_px, configuration.largest_px),
        seed=configuration.seed,
    )
    plan = loop.Plan(configuration.iterations, CURVE_INTERVAL, CHECKPOINT_INTERVAL)
    loop.train(learner, crops.make_batch, plan, record)
    with torch.no_grad():
        for mean, old in zip(average.parameters(), _modnet_parameters(configuration), strict=True):
            mean.lerp_(old, 1 - TRAINED_SHARE)
    return Network(average)


def _rates(configuration: Configuration, number: int) -> tuple[float, float]:
    """Return the rates of MODNet's parameters and of the added ones."""
    fallen = (1 + math.cos(math.pi * number / configuration.iterations)) / 2
    rate = configuration.learning_rate * (min(1, (number + 1) / WARM_UP) * fallen + LAST_RATE)
    return rate, rate * ADDED_RATE


def _compute_losses(
    module: Torch, samples: list[Sample]
) -> tuple[dict[str, Torch], dict[str, float]]:
    return {"loss": compute_loss(module, samples)}, {}


def _modnet_parameters(configuration: Configuration) -> list[Torch]:
    """Return the parameters with which the network answers as MODNet does."""
    module = build_network(configuration).module
    module.network_share.fill_(1)
    module.matte_share.fill_(0)
    return list(module.parameters())


def build_network(configuration: Configuration) -> Network:
    """Return the network before training.  Raises SetupFailed when MODNet is missing."""
    # Reading and checking data needs no framework.
    from smart_filter_training.models.refiner.network import load_modnet  # noqa: PLC0415

    return Network(load_modnet(files.read_verified(configuration.weights_folder, modnet.WEIGHTS)))


def compute_loss(module: Torch, samples: list[Sample]) -> Torch:
    """Return the loss of a batch: entropy, more of it at outlines, and what the overlap lacks."""
    torch = importlib.import_module("torch")
    functional = torch.nn.functional
    inputs = torch.from_numpy(batches.to_inputs(samples))
    with torch.autocast("cpu", torch.bfloat16):
        logits = module(inputs).float()
    targets = np.stack([sample.target for sample in samples])[:, np.newaxis]
    target = torch.from_numpy(batches.to_shares(targets))
    counted = torch.from_numpy(np.stack([each.counted for each in samples])[:, np.newaxis]).float()
    most, least = (
        functional.max_pool2d(sign * target, EDGE_PX, 1, EDGE_PX // 2) for sign in (1, -1)
    )
    weight = counted * (1 + EDGE_WEIGHT * (most + least).clamp(0, 1))
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    covered, truth = torch.sigmoid(logits) * counted, target * counted
    both = (covered * truth).sum((1, 2, 3))
    either = (covered + truth).sum((1, 2, 3)) - both
    overlap = ((both + 1) / (either + 1)).mean()
    # A batch may have no pixel that counts.
    mean_entropy = (entropy * weight).sum() / weight.sum().clamp(min=1)
    return mean_entropy + OVERLAP_WEIGHT * (1 - overlap)


def compute_figures(network: Network, data: Data) -> Mapping[str, Figure]:
    """Return the mean IoU of the validation photos, of refined mattes and of those of `people`."""
    rows = [
        [_compute_iou(example, refine(network, example.sample)), _compute_iou(example)]
        for example in data.validation
    ]
    return confidence_intervals.compute_figures(np.array(rows, np.float64), _figures)


def refine(network: Answering, sample: Sample) -> Matte8:
    """Return the matte of a photo, corrected as the product does it: (H, W) uint8.

    Outside the people's region it is empty; without people it stays as it is.
    """
    region = find_people(sample.people)
    if region is None:
        return sample.people
    coverage = sigmoid(network(_to_inputs(sample, region)))[0, 0]
    refined = np.zeros_like(sample.people)
    height, width = refined[region].shape
    refined[region] = np.rint(resize(coverage, width=width, height=height) * 255)
    return refined


def _to_inputs(sample: Sample, region: Region) -> Floats:
    """Return what the network takes for a region of a photo: (1, 4, H, W) float32."""
    part = sample.crop(region)
    height, width = part.people.shape
    across, down = modnet.FORM.input_size(width, height, modnet.SIDE_PX)
    return batches.to_inputs([part.stretch(width=across, height=down)])


def export(network: Network, data: Data, folder: Path) -> Exported:
    """Write the network as ONNX, its weights and large convolutions in few bits.

    Raises SetupFailed when the mean IoU of some validation photos differs by more than MAX_LOSS.
    """
    from smart_filter_training.models.refiner.network import to_onnx  # noqa: PLC0415 - as above

    folder.mkdir(parents=True, exist_ok=True)
    unchecked = folder / f"{CARD.file}.part"
    samples = [
        example.sample
        for example in batches.read_examples(
            data.train[:_MAX_CALIBRATED], data.weights, folder=data.examples
        )
    ]
    whole = slice(None), slice(None)
    inputs = [_to_inputs(sample, find_people(sample.people) or whole) for sample in samples]
    unchecked.write_bytes(to_onnx(network.module, inputs))
    stored = StoredNetwork(unchecked)
    compared = data.validation[:_MAX_COMPARED]
    before, after = (
        np.mean([_compute_iou(example, refine(answering, example.sample)) for example in compared])
        for answering in (network, stored)
    )
    loss = abs(float(before - after))
    if not loss <= MAX_LOSS:  # also refuses NaN
        raise SetupFailed(f"the IoU of {CARD.file} differs from the network's by {loss:.4f}")
    unchecked.replace(folder / CARD.file)
    return Exported(folder / CARD.file, loss)


def measure(file: Path, folder: Path) -> Mapping[str, Figure]:
    """Return the figures of the product's model with an exported file, on photos with masks.

    folder: as `smart-filter eval` takes it.  Raises FolderUnreadable.
    """
    with tempfile.TemporaryDirectory() as scratch:
        for weights in (data_folder() / "weights").iterdir():
            if weights.name != CARD.file:
                (Path(scratch) / weights.name).symlink_to(weights)
        (Path(scratch) / CARD.file).symlink_to(file.resolve())
        model = people.load(Path(scratch))
        return measure_in_process.measure_model(tasks.get_task(CARD.task), model, folder)


def _compute_iou(example: Example, matte: Matte8 | None = None) -> float:
    """Return the IoU of a matte with the mask as it was drawn; without one, of that of `people`."""
    sample = example.sample
    return metrics.matte_iou(
        sample.people if matte is None else matte, example.mask, sample.counted
    )


def _figures(numbers: Doubles, weights: Doubles) -> Mapping[str, float]:
    refined, given = (metrics.weighted_mean(column, weights) for column in numbers.T)
    return {"iou": refined, "iou_people": given}
