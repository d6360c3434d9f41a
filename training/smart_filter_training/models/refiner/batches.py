"""Read photos with the mattes that `people` makes of them, and make batches of faulty crops."""

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_training.evaluation import dataset_files
from smart_filter_training.evaluation.base import PreparePhoto
from smart_filter_training.evaluation.prepare_stage import open_prepare_stage
from smart_filter_training.models.refiner import composites, faults
from smart_filter_training.models.refiner.faults import Sample
from smart_filter_training.models.unet import augmentation, pairs
from smart_filter_training.models.unet.pairs import Pair
from smart_filter_workers.networks.coverage import modnet
from smart_filter_workers.networks.coverage.coverage_network import CoverageNetwork
from smart_filter_workers.opencv import cv2
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import HALF_LEVEL, Floats, Matte8, Photo, Srgb8
from smart_filter_workers.stages.segmentation.mattes import consensus
from smart_filter_workers.stages.segmentation.models import people as people_model
from smart_filter_workers.stages.segmentation.models.people import LONGEST_SIDE_PX, PeopleSegmenter
from smart_filter_workers.stages.segmentation.regions import MARGIN_SHARE, Region, find_people

Rng = np.random.Generator

# Masks are polygons: their outlines are mixed with MODNet's, up to this share of the root of the
# people's area to both sides. Farther away masks are right: with MODNet's answer everywhere, 48 of
# 269 targets had a wrong part of at least 0.3 % of the photo, such as a car seat next to hair.
OUTLINE_WEIGHT, OUTLINE_REACH = 0.64, 0.015
# The share of crops that show the whole picture, as when `people` finds nothing.
WHOLE_SHARE: Final = 0.25
# Crops of a batch are stretched to one shape: at most by this, as a power of e. After that many
# draws the last crop is used as it is.
MAX_STRETCH, _ATTEMPTS = 0.4, 50
MIN_CROP_PX: Final = 24
# The photos whose background a composite tries to get; people may fill them.
_TRIED_PHOTOS: Final = 4


@dataclass(frozen=True, slots=True)
class Example:
    """A photo of at most LONGEST_SIDE_PX, with the matte to correct and the right one.

    sample: its target has MODNet's outlines.  mask: (H, W) uint8, the right matte as it was drawn.
    source: the text before the first _ of its name.
    """

    sample: Sample
    mask: Matte8
    source: str


@dataclass(frozen=True, slots=True)
class _Look:
    """A picture, (H, W, 3) uint8, and what networks see in it: (H, W) uint8 mattes.

    people: of the default model, to correct.  portrait: of MODNet, whose outlines are soft.
    """

    srgb: Srgb8
    people: Matte8
    portrait: Matte8


@dataclass(frozen=True, slots=True)
class _Networks:
    """The networks that see pictures before the refiner does."""

    prepare: PreparePhoto
    segment: PeopleSegmenter
    portrait: CoverageNetwork

    def look(self, photo: Photo, srgb: Srgb8) -> _Look:
        """Return what the networks see in a photo; srgb: the photo, shrunk."""
        height, width = srgb.shape[:2]
        (answer,) = self.segment([self.prepare(photo)])
        people = resize(answer.matte, width=width, height=height)
        portrait = np.zeros_like(people)
        region = find_people(people) or _whole(people)
        portrait[region] = np.rint(self.portrait(np.ascontiguousarray(srgb[region])) * 255)
        return _Look(srgb, people, portrait)


def read_examples(
    listed: Sequence[Pair],
    weights: Path,
    *,
    composites_share: float = 0.0,
    folder: Path | None = None,
) -> list[Example]:
    """Run the product's networks on pairs; return the examples, about 2 MB each.

    weights: the weights folder.  composites_share: the share of pairs whose people are put in front
    of another background for one more example.  folder: keeps what the networks see from one run to
    the next; remove it when the networks or the pairs change.
    Raises FolderUnreadable naming the file that cannot be used.
    """
    examples: list[Example] = []
    with open_prepare_stage(weights, turning=False) as prepare:
        networks = _Networks(prepare, people_model.load(weights), modnet.load(weights))
        for pair in listed:
            shrunk = pairs.read_pair(pair, longest_side_px=LONGEST_SIDE_PX)
            look = _recall(folder, pair.name)
            if look is None:
                look = networks.look(dataset_files.read_photo(pair.photo), shrunk.srgb)
                _remember(folder, pair.name, look)
            target = draw_target(shrunk.matte, look.portrait)
            looks = [look]
            rng = np.random.default_rng(zlib.crc32(pair.name.encode()))
            # Pixels that do not count may show a person who would be cut off.
            if shrunk.counted.all() and rng.random() < composites_share:
                name = f"{pair.name}-composite"
                look = _recall(folder, name)
                if look is None:
                    background = _draw_background(rng, shrunk.srgb, target, listed)
                    srgb = composites.compose(shrunk.srgb, target, background)
                    # The networks see the composite: where it is hard, they make real mistakes.
                    look = networks.look(Photo(srgb, "png"), srgb)
                    _remember(folder, name, look)
                looks.append(look)
            for look in looks:
                sample = Sample(look.srgb, look.people, target, shrunk.counted)
                examples.append(Example(sample, shrunk.matte, pair.source))
    return examples


def draw_target(mask: Matte8, portrait: Matte8) -> Matte8:
    """Return a mask whose outlines are mixed with those of MODNet's matte; all (H, W) uint8."""
    people = (mask > HALF_LEVEL).view(np.uint8)
    reach_px = max(1, round(OUTLINE_REACH * math.sqrt(np.count_nonzero(people))))
    square = np.ones((2 * reach_px + 1,) * 2, np.uint8)
    is_outline = cv2.morphologyEx(people, cv2.MORPH_GRADIENT, square) > 0
    if not is_outline.any():
        return mask
    return np.where(is_outline, consensus.agree(mask, [portrait], [OUTLINE_WEIGHT]), mask)


def _draw_background(rng: Rng, srgb: Srgb8, target: Matte8, listed: Sequence[Pair]) -> Srgb8:
    """Return a background for the people of a photo, perhaps that of another photo."""
    for _ in range(_TRIED_PHOTOS):
        other = listed[int(rng.integers(len(listed)))]
        scene = augmentation.remove_people(pairs.read_pair(other, longest_side_px=LONGEST_SIDE_PX))
        if scene is not None:
            return composites.draw_background(rng, srgb, target, [scene])
    return composites.draw_background(rng, srgb, target, [])


def _recall(folder: Path | None, name: str) -> _Look | None:
    """Return what the networks saw in an earlier run, if the folder holds it."""
    if folder is None or not (folder / f"{name}.npz").is_file():
        return None
    with np.load(folder / f"{name}.npz") as stored:
        return _Look(stored["srgb"], stored["people"], stored["portrait"])


def _remember(folder: Path | None, name: str, look: _Look) -> None:
    """Write what the networks see, for the next run."""
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{name}.partial"
    with partial.open("wb") as file:
        np.savez(file, srgb=look.srgb, people=look.people, portrait=look.portrait)
    partial.replace(folder / f"{name}.npz")


@dataclass(frozen=True, slots=True)
class Batches:
    """Endless batches of faulty crops; each depends on the seed and its number alone.

    weights: how often each example is drawn.  sides_px: the least and largest side; a crop has
    about as many pixels as a square of a side in between.
    """

    examples: Sequence[Example]
    weights: Sequence[float]
    size: int
    sides_px: tuple[int, int]
    seed: int

    def make_batch(self, number: int) -> list[Sample]:
        """Return samples of one shape."""
        rng = np.random.default_rng((self.seed, number))
        sample = self._draw_crop(rng)
        height, width = sample.people.shape
        side_px = int(rng.integers(*self.sides_px, endpoint=True))
        shape = modnet.FORM.input_size(width, height, side_px)
        crops = [sample, *(self._draw_alike(rng, shape) for _ in range(self.size - 1))]
        return [distort(rng, crop.stretch(width=shape[0], height=shape[1])) for crop in crops]

    def _draw_alike(self, rng: Rng, shape: tuple[int, int]) -> Sample:
        for _ in range(_ATTEMPTS):
            sample = self._draw_crop(rng)
            height, width = sample.people.shape
            if abs(math.log(width / height * shape[1] / shape[0])) < MAX_STRETCH:
                break
        return sample

    def _draw_crop(self, rng: Rng) -> Sample:
        shares = np.array(self.weights) / sum(self.weights)
        sample = self.examples[int(rng.choice(len(self.examples), p=shares))].sample
        region = find_people(sample.people)
        if region is None or rng.random() < WHOLE_SHARE:
            return sample
        return sample.crop(_vary(rng, region, sample.people.shape))


def distort(rng: Rng, sample: Sample) -> Sample:
    """Return a sample perhaps mirrored, in other light, with shadows and further faults."""
    if rng.random() < 1 / 2:
        sample = sample.crop((slice(None), slice(None, None, -1)))
    if rng.random() < faults.SHADOW_SHARE:
        sample = faults.cast_shadow(rng, sample)
    relit = replace(sample, srgb=augmentation.relight(rng, sample.srgb))
    return faults.add_faults(rng, relit)


def to_inputs(samples: Sequence[Sample]) -> Floats:
    """Return the input of the network: (n, 4, H, W) float32."""
    mattes = to_shares(np.stack([sample.people for sample in samples])[:, np.newaxis])
    pictures = modnet.FORM.scale_values(np.stack([sample.srgb for sample in samples]))
    return np.concatenate([pictures, mattes], axis=1)


def to_shares(mattes: Matte8) -> Floats:
    """Return levels as float32, 0..1."""
    return mattes.astype(np.float32) / np.float32(255)


def _whole(matte: Matte8) -> Region:
    return slice(0, matte.shape[0]), slice(0, matte.shape[1])


def _vary(rng: Rng, region: Region, shape: tuple[int, ...]) -> Region:
    """Return a region with other margins, from none to twice the usual one."""
    spans = []
    for span, length in zip(region, shape, strict=True):
        margin = (span.stop - span.start) * MARGIN_SHARE
        first, last = rng.uniform(-1, 1, 2) * margin / (1 + 2 * MARGIN_SHARE)
        # At the picture's edge there was no whole margin to vary.
        start = max(0, int(span.start - first)) if span.start > 0 else 0
        stop = min(length, int(span.stop + last)) if span.stop < length else length
        spans.append(slice(start, max(stop, min(start + MIN_CROP_PX, length))))
    return spans[0], spans[1]
