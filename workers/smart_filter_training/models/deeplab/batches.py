"""Crops of pictures with where persons are, each batch a function of the seed and its number."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_training.annotations import outlines, pictures
from smart_filter_training.annotations.marks import Marked
from smart_filter_training.models.deeplab.configuration import Configuration
from smart_filter_training.models.deeplab.network import MEAN, PERSON, STD
from smart_filter_workers.results import Srgb8

Floats: TypeAlias = NDArray[np.float32]
# (H, W) uint8: 0 background, PERSON, NOT_COUNTED.
Classes: TypeAlias = NDArray[np.uint8]

# What is neither learnt nor judged: crowds, and what lies beside a picture.
NOT_COUNTED: Final = 255


@dataclass(frozen=True, slots=True)
class Batches:
    """Endless batches of crops."""

    pictures: Sequence[Marked]
    labels: Sequence[str]
    configuration: Configuration

    def batch(self, number: int) -> tuple[Floats, NDArray[np.int64]]:
        """Return (N, 3, S, S) float32 as the network takes them, and (N, S, S) int64 classes."""
        size = self.configuration.batch_size
        crops = [self._crop(place) for place in range(number * size, (number + 1) * size)]
        values = np.stack([levels(srgb) for srgb, _ in crops])
        return values, np.stack([classes for _, classes in crops]).astype(np.int64)

    def _crop(self, place: int) -> tuple[Srgb8, Classes]:
        epoch, index = divmod(place, len(self.pictures))
        seed = self.configuration.seed
        order = np.random.default_rng((seed, epoch)).permutation(len(self.pictures))
        # From 1 on: NumPy takes a seed that ends in zeros for the shorter one.
        drawing = np.random.default_rng((seed, epoch, 1 + index))
        picture = self.pictures[order[index]]
        srgb, classes = pictures.load(picture), classes_of(picture, self.labels)
        return cropped(srgb, classes, self.configuration, drawing)


def classes_of(picture: Marked, labels: Sequence[str]) -> Classes:
    """Return (H, W) uint8: 0 background, PERSON, and NOT_COUNTED for crowds with nobody before."""
    classes = np.zeros((picture.height, picture.width), np.uint8)
    # Who was told apart stands before a crowd.
    for mark in sorted(picture.marks, key=lambda mark: not mark.is_crowd):
        if mark.label in labels:
            inside = outlines.pixels(mark, picture.width, picture.height)
            classes[inside] = NOT_COUNTED if mark.is_crowd else PERSON
    return classes


def cropped(
    srgb: Srgb8, classes: Classes, configuration: Configuration, drawing: np.random.Generator
) -> tuple[Srgb8, Classes]:
    """Return a square of a picture, scaled and perhaps mirrored, and its classes.

    srgb: (H, W, 3) uint8; classes: (H, W).  Where the picture does not reach nothing counts.
    """
    side = configuration.crop
    height, width = classes.shape
    # A crop shows all of a picture at a scale of one.
    scale = drawing.uniform(configuration.smallest, configuration.largest)
    scale *= side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = cv2.resize(srgb, size, interpolation=how)
    known = cv2.resize(classes, size, interpolation=cv2.INTER_NEAREST)
    left, top = (int(drawing.integers(max(0, one - side) + 1)) for one in size)
    part = scaled[top : top + side, left : left + side]
    right, below = side - part.shape[1], side - part.shape[0]
    grey = [round(255 * level) for level in MEAN]
    part = cv2.copyMakeBorder(part, 0, below, 0, right, cv2.BORDER_CONSTANT, value=grey)
    known = known[top : top + side, left : left + side]
    known = cv2.copyMakeBorder(known, 0, below, 0, right, cv2.BORDER_CONSTANT, value=NOT_COUNTED)
    if drawing.random() < 0.5:  # noqa: PLR2004 - as often as not
        part, known = part[:, ::-1], known[:, ::-1]
    return np.asarray(part, np.uint8), np.asarray(known, np.uint8)


def levels(srgb: Srgb8) -> Floats:
    """Return (3, H, W) float32 of (H, W, 3) uint8: levels 0..1 less MEAN by STD."""
    values = (srgb / np.float32(255) - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    return np.ascontiguousarray(values.transpose(2, 0, 1), dtype=np.float32)
