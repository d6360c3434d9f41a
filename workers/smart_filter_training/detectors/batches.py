"""Batches as detectron2's models take them, each a function of the seed and its number alone."""

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smart_filter_training.annotations import outlines, pictures
from smart_filter_training.annotations.marks import Mark, Marked
from smart_filter_training.detectors.configuration import Configuration
from smart_filter_workers.networks.detectron2.building import Foreign
from smart_filter_workers.networks.detectron2.predictor import input_size
from smart_filter_workers.results import Srgb8

Bools: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Example:
    """A picture as a network is shown it.

    srgb: (h, w, 3) uint8; boxes: (N, 4) float32, left, top, right and bottom in its pixels.
    classes: (N,) int64; inside: (N, h, w) bool, where each is; None where nobody asks.
    """

    srgb: Srgb8
    boxes: Floats
    classes: NDArray[np.int64]
    inside: Bools | None


@dataclass(frozen=True, slots=True)
class Batches:
    """Endless batches of pictures in which something is marked, from one on.

    labels: in the order of the network's classes; order: "BGR" or "RGB", as the network wants.
    masks: whether outlines are learnt too.
    """

    pictures: Sequence[Marked]
    labels: Sequence[str]
    configuration: Configuration
    order: str
    masks: bool
    start: int = 0

    def __iter__(self) -> Iterator[list[dict[str, Foreign]]]:
        """Yield batch after batch."""
        number = self.start
        while True:
            yield [_told(one, self.order) for one in self.examples(number)]
            number += 1

    def examples(self, number: int) -> list[Example]:
        """Return the pictures of one batch, turned into examples."""
        size = self.configuration.batch_size
        return [self._example(place) for place in range(number * size, (number + 1) * size)]

    def _example(self, place: int) -> Example:
        epoch, index = divmod(place, len(self.pictures))
        seed = self.configuration.seed
        order = np.random.default_rng((seed, epoch)).permutation(len(self.pictures))
        # From 1 on: NumPy takes a seed that ends in zeros for the shorter one.
        drawing = np.random.default_rng((seed, epoch, 1 + index))
        short_side = self.configuration.short_side
        return example(
            self.pictures[order[index]],
            self.labels,
            short_side_px=int(
                drawing.integers(round(self.configuration.smallest * short_side), short_side + 1)
            ),
            long_side_px=self.configuration.long_side,
            mirrored=bool(drawing.random() < 0.5),  # noqa: PLR2004 - as often as not
            masks=self.masks,
        )


def example(
    picture: Marked,
    labels: Sequence[str],
    *,
    short_side_px: int,
    long_side_px: int,
    mirrored: bool,
    masks: bool,
) -> Example:
    """Return a picture at a size, perhaps mirrored, with its marks; crowds are left out.

    Raises FolderUnreadable when it cannot be decoded.
    """
    srgb = pictures.load(picture)
    height, width = srgb.shape[:2]
    across, down = input_size(width, height, short_side_px=short_side_px, long_side_px=long_side_px)
    resized = np.asarray(
        # As the product's own predictor does.
        Image.fromarray(srgb).resize((across, down), Image.Resampling.BILINEAR)
    )
    marks = [mark for mark in picture.marks if not mark.is_crowd and mark.label in labels]
    scale = np.array((across / width, down / height) * 2, np.float32)
    boxes = np.array([mark.box for mark in marks], np.float32).reshape(-1, 4) * scale
    inside = _inside(marks, width, height, (across, down)) if masks else None
    if mirrored:
        resized = resized[:, ::-1]
        boxes = np.stack([across - boxes[:, 2], boxes[:, 1], across - boxes[:, 0], boxes[:, 3]], 1)
        inside = inside if inside is None else inside[:, :, ::-1]
    classes = np.array([labels.index(mark.label) for mark in marks], np.int64)
    return Example(resized, boxes, classes, inside)


def _inside(marks: Sequence[Mark], width: int, height: int, size: tuple[int, int]) -> Bools:
    across, down = size
    resized = [
        np.asarray(
            Image.fromarray(outlines.pixels(mark, width, height)).resize(
                (across, down), Image.Resampling.NEAREST
            ),
            dtype=np.bool_,
        )
        for mark in marks
    ]
    return np.array(resized, np.bool_).reshape(-1, down, across)


def _told(one: Example, order: str) -> dict[str, Foreign]:
    """Return an example in detectron2's own words."""
    torch = importlib.import_module("torch")
    structures = importlib.import_module("detectron2.structures")
    channels = one.srgb[:, :, ::-1] if order == "BGR" else one.srgb
    height, width = one.srgb.shape[:2]
    instances = structures.Instances((height, width))
    instances.gt_boxes = structures.Boxes(torch.from_numpy(np.ascontiguousarray(one.boxes)))
    instances.gt_classes = torch.from_numpy(one.classes)
    if one.inside is not None:
        instances.gt_masks = structures.BitMasks(torch.from_numpy(np.ascontiguousarray(one.inside)))
    planes = np.ascontiguousarray(channels.transpose(2, 0, 1), dtype=np.float32)
    return {
        "image": torch.from_numpy(planes),
        "height": height,
        "width": width,
        "instances": instances,
    }
