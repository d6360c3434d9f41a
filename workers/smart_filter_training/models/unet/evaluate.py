"""How well a network's mattes agree with those that people drew, by source, with intervals."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.errors import SetupFailed
from smart_filter_training.models.unet import augmentation
from smart_filter_training.models.unet.data import Data
from smart_filter_training.models.unet.pairs import Example
from smart_filter_training.models.unet.shelves import Shelf
from smart_filter_workers.evaluation import intervals, metrics
from smart_filter_workers.evaluation.base import Floats as Numbers
from smart_filter_workers.evaluation.intervals import Figure
from smart_filter_workers.evaluation.tasks import segmentation
from smart_filter_workers.networks.litert import LiteRtNetwork
from smart_filter_workers.results import Matte8, Photo, Prepared
from smart_filter_workers.stages.prepare.stage import proxy_of
from smart_filter_workers.stages.segmentation.edges import refine
from smart_filter_workers.stages.segmentation.models.portrait import Portrait

Network = Any  # keras ships no types
Floats = NDArray[np.float32]

# In a run's folder: the network, for runs that join it.
NETWORK: Final = "network.keras"
_BATCH: Final = 16
# Fewer photos of a source say nothing.
FEWEST_OF_SOURCE: Final = 5


def figures(network: Network, data: Data) -> dict[str, Figure]:
    """Return the figures on the validation split: of all photos, and of each source.

    Where runs to join were named, `ensemble_…` says what the mean of their mattes and this
    network's reaches.
    """
    own = coverages(network, data.validation)
    found = of_coverages(own, data.validation)
    if data.joined:
        every = [own, *(coverages(saved(run), data.validation) for run in data.joined)]
        means = [np.mean(seen, axis=0) for seen in zip(*every, strict=True)]
        joined = of_coverages(means, data.validation)
        found |= {f"ensemble_{name}": figure for name, figure in joined.items()}
    return found


def measured(file: Path, folder: Path) -> dict[str, Figure]:
    """Return the figures of an exported file on a folder of photos with masks.

    As `smart-filter eval segmentation` has them: by the product's model, with its edges.
    Raises FolderUnreadable.
    """
    model = Portrait(LiteRtNetwork(file), _size_of(file))
    scores = []
    for example in segmentation.examples(folder):
        answer = segmentation.answer(model, segmentation.question(example, _bare))
        scores.append(segmentation.score(example, answer))
    numbers = np.array([score.numbers for score in scores], np.float64)
    return _by_source(numbers, [score.group for score in scores])


def coverages(network: Network, shelf: Shelf) -> list[Floats]:
    """Return what a network sees of each photo: (S, S) float32, 0..1."""
    size_px = int(network.input_shape[1])
    seen: list[Floats] = []
    for start in range(0, len(shelf), _BATCH):
        numbers = range(start, min(start + _BATCH, len(shelf)))
        logits = network.predict_on_batch(inputs(shelf, numbers, size_px))
        seen += list(probability(np.asarray(logits, np.float32)[..., 0]))
    return seen


def inputs(shelf: Shelf, numbers: Iterable[int], size_px: int) -> Floats:
    """Return photos as a network takes them: (N, S, S, 3) float32, 0..1."""
    pictures = [augmentation.stretched(shelf.example(number).srgb, size_px) for number in numbers]
    return np.stack(pictures).astype(np.float32) / np.float32(255)


def of_coverages(seen: Sequence[Floats], shelf: Shelf) -> dict[str, Figure]:
    """Return the figures of what was seen of each photo of a shelf, with the product's edges."""
    rows = []
    for number, coverage in enumerate(seen):
        example = shelf.example(number)
        compared = matte_of(coverage, example), example.matte, example.counted
        rows.append(
            (
                metrics.overlap(*compared),
                metrics.boundary_f(*compared),
                metrics.mean_difference(*compared),
            )
        )
    return _by_source(np.array(rows, np.float64), [pair.source for pair in shelf.pairs])


def matte_of(coverage: Floats, example: Example) -> Matte8:
    """Return the matte that the product makes of a coverage: (h, w) uint8."""
    height, width = example.matte.shape
    whole = cv2.resize(coverage, (width, height), interpolation=cv2.INTER_LINEAR)
    return refine(np.asarray(whole, dtype=np.float32), example.srgb)


def probability(logits: Floats) -> Floats:
    """Return the logistic function of logits."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -40, 40))), dtype=np.float32)


def saved(run: Path) -> Network:
    """Return the network of a finished run.  Raises SetupFailed."""
    import keras  # noqa: PLC0415 - figures of files need no framework

    try:
        return keras.saving.load_model(run / NETWORK, compile=False, safe_mode=True)
    except (OSError, ValueError) as error:
        why = str(error).partition("\n")[0]
        raise SetupFailed(f"{run} holds no finished run to join: {why}") from error


def _by_source(numbers: Numbers, sources: Sequence[str]) -> dict[str, Figure]:
    found = intervals.figures(numbers, segmentation.figures)
    for source in sorted(set(sources)):
        own = numbers[[one == source for one in sources]]
        if source and len(own) >= FEWEST_OF_SOURCE:
            iou = intervals.figures(own, segmentation.figures)["iou"]
            found[f"iou_{source}"] = iou
    return found


def _size_of(file: Path) -> tuple[int, int]:
    """Return width and height of the input of a LiteRT file."""
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415 - only for files

    _, height, width, _ = Interpreter(model_content=file.read_bytes()).get_input_details()[0][
        "shape"
    ]
    return int(width), int(height)


def _bare(photo: Photo) -> Prepared:
    """Return a photo as `prepare` hands it on, without the faces: the network needs none."""
    height, width = photo.srgb.shape[:2]
    return Prepared(width, height, photo.format, proxy_of(photo.srgb), proposals=())
