"""The networks that look at the part of a photo that shows people, and correct their matte.

The networks agree on who is there, and their agreement is nearly hard: across hair, and wherever
lens and JPEG mix colors, it takes all of a mixed pixel, and the old background shows as a rim. The
network for portraits was trained on soft coverage and draws mixed pixels as mixed, so that their
colors can be separated. But it loses shoulders and adds floor. A part that the two decide in
opposite ways is therefore decided by its colors, and nothing is added. Who is there remains what
the networks agree on: a mixed pixel of theirs stays above one half.
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.recipe import Edge
from smart_filter_workers.connected_parts import label_parts, measure_areas
from smart_filter_workers.networks.coverage import modnet, u2netp
from smart_filter_workers.networks.coverage.coverage_network import CoverageNetwork
from smart_filter_workers.networks.coverage.refiner import MatteRefiner
from smart_filter_workers.opencv import cv2
from smart_filter_workers.resampling import shrink
from smart_filter_workers.results import (
    HALF_LEVEL,
    Bools,
    Floats,
    Matte8,
    PreparedPhoto,
    Srgb8,
)
from smart_filter_workers.stages.segmentation.mattes import attached_things, consensus
from smart_filter_workers.stages.segmentation.models.base import Look, People
from smart_filter_workers.stages.segmentation.people import separation
from smart_filter_workers.stages.segmentation.regions import find_people

# MODNet's input has about as many pixels as a square of this side. Its authors use 512, which takes
# 1.8 times as long: on 61 training photos the mean IoU is the same within 0.0003.
PORTRAIT_SIDE_PX: Final = 384
# Of 48 parts that MODNet shows next to people, 21 belong to them, judged by eye. At 192² the glance
# confirms 10 of these and 5 others, at 256² 13 and 1, at 320² 15 and 4.
GLANCE_SIDE_PX: Final = 256
# `balanced` asks the network that sees whatever stands out about mattes of less confidence: a third
# of 61 training photos, whose mean IoU is 0.88 instead of 0.97. It takes twice the time of the
# others.
DOUBTED_BELOW: Final = 0.95

# Lengths are shares of the root of the people's area. The outline reaches this far to both sides of
# one half. On 161 training photos a reach of 0.02 or 0.1 changes the mean IoU by at most 0.0006.
REACH: Final = 0.05
# A part that is thinner belongs to the outline.
THINNEST_PART: Final = 0.015
# A part is background if its colors are nearer than this, in distances from those of the person, to
# those of the background next to it. Looking at the largest parts on 40 of these photos: with 0.7,
# wrong for a bag's end, an elbow and a clutch; with 1.0, also for dark hair before a dark shelf.
LIKE_BACKGROUND: Final = 0.7
# A larger part, as a share of the people's area, may be a person or a limb.
LARGEST_PART: Final = 0.05
# Levels up to the first are surely background, from the second on surely a person.
NO_PERSON, PERSON = 25, 230
# Colors nearby are means over this reach of the outline, on a picture of this size.
NEARBY: Final = 2 * REACH
COLORS_SIDE_PX: Final = 320
# A mean of fewer sure pixels, as a share of its square, tells nothing.
LEAST_SURE: Final = 0.01


@dataclass(frozen=True, slots=True)
class OutlineNetworks:
    """Corrects the outlines of people; any thread may call it.

    find_salient: returns the network that sees whatever stands out; None where its weights are not.
    glance: sees whatever stands out, coarsely; asked about things next to people.
    """

    refine: MatteRefiner
    portrait: CoverageNetwork
    find_salient: Callable[[], Look | None]
    glance: Look

    def correct(
        self, people: People, prepared: PreparedPhoto, edge: Edge, salient: Look | None
    ) -> People:
        """Return the people with the matte on which all networks agree.

        edge: `fast` asks no network, `best` all; the others ask the one that sees whatever stands
        out only in doubt.  salient: the network to ask in its place, always.
        """
        region = find_people(people.matte)
        if region is None or edge == Edge.FAST:
            return people
        cut, matte = np.ascontiguousarray(prepared.proxy_srgb[region]), people.matte[region]
        portrait = _to_levels(*self.portrait.segment_batch([cut], side_px=PORTRAIT_SIDE_PX))
        refined, others = self.refine(cut, matte), [portrait]
        if salient is None and (edge == Edge.BEST or (people.confidence or 0) < DOUBTED_BELOW):
            salient = self.find_salient()
        stands_out = None
        if salient is not None:
            stands_out = _to_levels(salient(cut))
            others.append(stands_out)
        owners = separation.find_owners(
            [person > HALF_LEVEL for person in people.persons or (people.matte,)]
        )
        places = [owners[region] == number for number in range(1, owners.max() + 1)]
        joined = consensus.correct_matte(matte, refined, others, places)
        spread = consensus.measure_spread(
            joined, refined, portrait, longest_side_px=max(people.matte.shape)
        )
        heard = consensus.keep_trusted(joined, portrait, places)
        joined = soften_outline(joined, heard, cut)
        evidence = (people.matte if people.evidence is None else people.evidence).copy()
        evidence[region] = np.maximum.reduce([evidence[region], refined, *others])
        corrected, attached = people.matte.copy(), np.zeros_like(people.matte)
        if candidates := attached_things.find_candidates(joined, portrait):
            if stands_out is None:
                stands_out = _to_levels(self.glance(cut))
            # Its errors are other ones than those of the first look.
            mirrored = self.refine(cut[:, ::-1], matte[:, ::-1])[:, ::-1]
            attached[region] = attached_things.confirm_things(
                candidates, joined, portrait, stands_out, mirrored
            )
        corrected[region] = joined
        corrected += attached
        persons = people.persons and separation.share_matte(corrected, owners)
        return replace(
            people,
            matte=corrected,
            persons=persons,
            attached=attached,
            evidence=evidence,
            outline_spread=spread,
            unclaimed_share=measure_unclaimed(corrected[region], portrait),
        )


def load(weights: Path, find_salient: Callable[[], Look | None]) -> OutlineNetworks:
    """Load the networks that every server has from the weights folder.

    find_salient: as for OutlineNetworks.  Raises SetupFailed when a file is missing or does not
    load.
    """
    # ONNX Runtime opens a network without the GIL; this one takes as long as the other two.
    refine = ThreadPoolExecutor(1).submit(MatteRefiner, weights)
    glance = u2netp.load(weights, side_px=GLANCE_SIDE_PX)
    portrait = modnet.load(weights)
    return OutlineNetworks(refine.result(), portrait, find_salient, glance)


def _to_levels(coverage: Floats) -> Matte8:
    """Return coverage, 0..1, as levels."""
    return np.rint(coverage * 255).astype(np.uint8)


def soften_outline(matte: Matte8, portrait: Matte8, srgb: Srgb8) -> Matte8:
    """Return the matte with the outline that the network for portraits draws.

    matte, portrait: (H, W) uint8, with at least one pixel of the matte above one half; srgb:
    (H, W, 3) uint8.  Where both are the same, nothing changes.
    """
    people = matte > HALF_LEVEL
    people_px = int(np.count_nonzero(people))
    thinnest = _thinnest_part(people_px)
    opposite = cv2.absdiff(matte, portrait) > HALF_LEVEL
    lost, added = (_find_thick(opposite & side, thinnest) for side in (people, ~people))
    background = _find_background(lost, matte, portrait, srgb)
    kept = cv2.dilate((added | (lost & ~background)).view(np.uint8), thinnest) > 0
    outline = cv2.morphologyEx(
        people.view(np.uint8),
        cv2.MORPH_GRADIENT,
        _square(2 * max(3, round(REACH * math.sqrt(people_px))) + 1),
    )
    changed = cv2.max(outline, cv2.dilate(background.view(np.uint8), thinnest))
    # On 37 training portraits the mean IoU is 0.9684 so, 0.9639 without; with 12 or 60 as the
    # level, 0.9684 and 0.9679. Composites have the same ΔE within 0.04 (benchmarks.soft_edges).
    is_mixed = people & ~background & (portrait > NO_PERSON)
    soft = np.where(is_mixed, np.maximum(portrait, HALF_LEVEL + 1), portrait)
    return np.where((changed > 0) & ~kept, soft, matte)


def measure_unclaimed(matte: Matte8, portrait: Matte8) -> float:
    """Return the area next to people that only the network for portraits takes for a part of them.

    As a share of the people's area, without what is as thin as an outline.  matte, portrait:
    (H, W) uint8, with at least one pixel of the matte above one half.
    """
    people = matte > HALF_LEVEL
    people_px = int(np.count_nonzero(people))
    added = (cv2.absdiff(matte, portrait) > HALF_LEVEL) & ~people
    return float(np.count_nonzero(_find_thick(added, _thinnest_part(people_px))) / people_px)


def _find_background(parts: Bools, matte: Matte8, portrait: Matte8, srgb: Srgb8) -> Bools:
    """Return those parts of people, (H, W), whose colors are the background's next to them."""
    labels, count = label_parts(parts)
    if count == 1:
        return parts
    places = np.flatnonzero(parts)
    numbers = labels.take(places)
    small = shrink(srgb, longest_side=COLORS_SIDE_PX)
    height, width = small.shape[:2]
    # Both have to be sure of a color.
    least, most = (
        cv2.resize(change(matte, portrait), (width, height), interpolation=cv2.INTER_NEAREST)
        for change in (np.minimum, np.maximum)
    )
    rows, columns = np.divmod(places, matte.shape[1])
    near = rows * height // matte.shape[0], columns * width // matte.shape[1]
    people_px = np.count_nonzero(matte > HALF_LEVEL)
    side_px = 2 * max(1, round(NEARBY * math.sqrt(people_px) * width / matte.shape[1])) + 1
    colors = srgb.reshape(-1, 3).take(places, axis=0).astype(np.float32)
    areas = np.maximum(measure_areas(labels, count), 1)
    away = []
    for sure in (most <= NO_PERSON, least >= PERSON):
        means, is_known = _mean_colors(small, sure, side_px)
        distances = np.linalg.norm(colors - means[near], axis=1)
        distances[~is_known[near]] = np.inf
        away.append(np.bincount(numbers, weights=distances, minlength=count) / areas)
    from_background, from_people = away
    is_background = np.isfinite(from_background)
    is_background &= from_background < LIKE_BACKGROUND * from_people
    is_background &= areas <= LARGEST_PART * people_px
    is_background[0] = False  # label 0 is everything else
    return np.asarray(is_background[labels], np.bool_)


def _mean_colors(srgb: Srgb8, sure: Bools, side_px: int) -> tuple[Floats, Bools]:
    """Return the mean color of the sure pixels around each pixel, and where there are some."""
    side = (side_px, side_px)
    share = cv2.blur(sure.astype(np.float32), side, borderType=cv2.BORDER_CONSTANT)
    levels = srgb * sure[..., np.newaxis].astype(np.float32)
    total = cv2.blur(levels, side, borderType=cv2.BORDER_CONSTANT)
    means = total / np.maximum(share, np.float32(1e-6))[..., np.newaxis]
    return np.asarray(means, np.float32), share >= LEAST_SURE


def _find_thick(mask: Bools, square: Matte8) -> Bools:
    """Return the pixels of a mask, (H, W), in and next to places that hold a square."""
    opened = cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_OPEN, square)
    return np.asarray((cv2.dilate(opened, square) > 0) & mask)


def _thinnest_part(people_px: int) -> Matte8:
    """Return the smallest square that is no outline; people_px: the people's area."""
    return _square(max(3, int(THINNEST_PART * math.sqrt(people_px)) | 1))


def _square(side_px: int) -> Matte8:
    # OpenCV is many times as fast with a square as with a disc.
    return np.ones((side_px, side_px), np.uint8)
