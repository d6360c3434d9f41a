"""Segmentation: mattes compared with masks drawn by people."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import numpy as np

from smart_filter_shared.errors import FolderUnreadable
from smart_filter_shared.recipe import Edge, Recipe
from smart_filter_training.evaluation import dataset_files, drawing, metrics
from smart_filter_training.evaluation.base import Cell, Metric, PreparePhoto, Score
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Doubles, Matte8, PreparedPhoto, Segmentation
from smart_filter_workers.stages.segmentation import stage
from smart_filter_workers.stages.segmentation.models.base import Segmenter

HOW: Final = (
    "images/X.jpg and masks/X.png, 255 person. In a mask that holds 0, 128 and 255 only, 128 does"
    " not count; any other mask is a soft matte. IoU at one half, the mean over photos; outlines"
    " agree within 0.8 % of the diagonal (Perazzi et al. 2016); MAD is the mean absolute"
    " difference of the mattes, 0 to 1. Time and memory are the model's, without prepare."
)
METRICS: Final = (
    Metric("iou", "IoU"),
    Metric("boundary_f", "boundary F"),
    Metric("mad", "MAD", less_is_better=True),
)
LOOKS: Final = 1


@dataclass(frozen=True, slots=True)
class Example:
    """A photo and its mask."""

    name: str
    photo: Path
    mask: Path


def examples(folder: Path) -> list[Example]:
    """Return the photos of `images`, each with its mask.  Raises FolderUnreadable."""
    pairs = [
        Example(photo.name, photo, folder / "masks" / f"{photo.stem}.png")
        for photo in dataset_files.list_pictures(folder / "images")
    ]
    missing = [pair.mask for pair in pairs if not pair.mask.is_file()]
    if missing:
        raise FolderUnreadable(f"{len(missing)} masks are missing, the first is {missing[0]}")
    return pairs


def question(example: Example, prepare: PreparePhoto) -> PreparedPhoto:
    """Return the prepared photo."""
    return prepare(dataset_files.read_photo(example.photo))


def answer(model: object, question: PreparedPhoto, *, edge: Edge = Edge.BALANCED) -> Segmentation:
    """Run the stage as a worker does."""
    inputs = stage.Inputs(prepared=question, recipe=Recipe(edge=edge))
    (segmented,) = stage.run({"segmentation": cast("Segmenter", model)}, [inputs])
    return segmented


def score(example: Example, answer: Segmentation) -> Score:
    """Compare the matte, at the photo's size, with the mask."""
    truth = dataset_files.read_mask(example.mask, dataset_files.read_photo(example.photo).srgb)
    matte, counted = _enlarge(answer.matte, truth), dataset_files.counted_pixels(truth)
    overlap = metrics.matte_iou(matte, truth, counted)
    outline = metrics.boundary_f(matte, truth, counted)
    difference = metrics.mean_difference(matte, truth, counted)
    return Score(
        photo=example.name,
        group=dataset_files.group_prefix(example.name),
        numbers=(overlap, outline, difference),
        badness=1 - overlap,
        summary=f"IoU {overlap:.3f} · boundary F {outline:.3f} · MAD {difference:.3f}",
    )


def figures(numbers: Doubles, weights: Doubles) -> Mapping[str, float]:
    """Return the means over photos."""
    return {
        metric.name: metrics.weighted_mean(column, weights)
        for metric, column in zip(METRICS, numbers.T, strict=True)
    }


def confusion(numbers: Doubles) -> None:
    """Return None: there are no classes."""
    del numbers


def cells(example: Example, answer: Segmentation) -> tuple[Cell, Cell, Cell, Cell]:
    """Return the photo, the mask, the matte, and where they differ."""
    srgb = dataset_files.read_photo(example.photo).srgb
    truth = dataset_files.read_mask(example.mask, srgb)
    matte = _enlarge(answer.matte, truth)
    differing = drawing.draw_difference(srgb, matte, truth, dataset_files.counted_pixels(truth))
    return srgb, drawing.draw_matte(truth), drawing.draw_matte(matte), differing


def _enlarge(matte: Matte8, truth: Matte8) -> Matte8:
    if matte.shape == truth.shape:
        return matte
    size = (truth.shape[1], truth.shape[0])
    return np.asarray(cv2.resize(matte, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
