"""Read photos with the mattes that `people` makes of them, and make batches of faulty crops."""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_training.evaluation import dataset_files
from smart_filter_training.evaluation.prepare_stage import open_prepare_stage
from smart_filter_training.models.refiner import composites, faults
from smart_filter_training.models.refiner.faults import Sample
from smart_filter_training.models.unet import augmentation, pairs
from smart_filter_training.models.unet.pairs import Pair
from smart_filter_workers.networks.coverage import modnet
from smart_filter_workers.networks.coverage.coverage_network import CoverageNetwork
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import Floats, Matte8, Photo, Srgb8
from smart_filter_workers.stages.segmentation.mattes import consensus
from smart_filter_workers.stages.segmentation.models import people as people_model
from smart_filter_workers.stages.segmentation.models.people import LONGEST_SIDE_PX
from smart_filter_workers.stages.segmentation.regions import MARGIN_SHARE, Region, find_people

Rng = np.random.Generator

# Masks are polygons: their outlines are mixed with MODNet's. It is too light to change an area.
OUTLINE_WEIGHT: Final = 0.64
# The share of crops that show the whole picture, as when `people` finds nothing.
WHOLE_SHARE: Final = 0.25
# Crops of a batch are stretched to one shape: at most by this, as a power of e. After that many
# draws the last crop is used as it is.
MAX_STRETCH, _ATTEMPTS = 0.4, 50
MIN_CROP_PX: Final = 24
# Composites get the backgrounds of this number of photos before theirs.
_MAX_BACKGROUNDS: Final = 100


@dataclass(frozen=True, slots=True)
class Example:
    """A photo of at most LONGEST_SIDE_PX, with the matte to correct and the right one.

    sample: its target has MODNet's outlines.  mask: (H, W) uint8, the right matte as it was drawn.
    source: the text before the first _ of its name.
    """

    sample: Sample
    mask: Matte8
    source: str


def read_examples(
    listed: Iterable[Pair], weights: Path, *, composites_share: float = 0.0
) -> list[Example]:
    """Run the product's networks on pairs; return the examples, about 2 MB each.

    weights: the weights folder.  composites_share: the share of pairs whose people are put in front
    of another background for one more example.
    Raises FolderUnreadable naming the file that cannot be used.
    """
    segment, outlines = people_model.load(weights), modnet.load(weights)
    examples: list[Example] = []
    backgrounds: deque[Srgb8] = deque(maxlen=_MAX_BACKGROUNDS)
    with open_prepare_stage(weights, turning=False) as prepare:

        def cut_out(photo: Photo, width: int, height: int) -> Matte8:
            (answer,) = segment([prepare(photo)])
            return resize(answer.matte, width=width, height=height)

        for number, pair in enumerate(listed):
            shrunk = pairs.read_pair(pair, longest_side_px=LONGEST_SIDE_PX)
            height, width = shrunk.matte.shape
            people = cut_out(dataset_files.read_photo(pair.photo), width, height)
            second = np.zeros_like(people)
            region = find_people(people) or _whole(people)
            second[region] = _predict(outlines, shrunk.srgb[region])
            target = consensus.agree(shrunk.matte, [second], [OUTLINE_WEIGHT])
            sample = Sample(shrunk.srgb, people, target, shrunk.counted)
            examples.append(Example(sample, shrunk.matte, pair.source))
            rng = np.random.default_rng(number)
            # Pixels that do not count may show a person who would be cut off.
            if shrunk.counted.all() and rng.random() < composites_share:
                background = composites.draw_background(rng, shrunk.srgb, target, backgrounds)
                srgb = composites.compose(shrunk.srgb, target, background)
                # The networks see the composite: where it is hard, they make real mistakes.
                people = cut_out(Photo(srgb, "png"), width, height)
                sample = replace(sample, srgb=srgb, people=people)
                examples.append(Example(sample, shrunk.matte, pair.source))
            scene = augmentation.remove_people(shrunk) if composites_share else None
            if scene is not None:
                backgrounds.append(scene)
    return examples


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


def _predict(outlines: CoverageNetwork, srgb: Srgb8) -> Matte8:
    return np.rint(outlines(np.ascontiguousarray(srgb)) * 255).astype(np.uint8)


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
