"""How well designs go with the people in a photo, in four terms that the answer shows.

    score = 0.31 mood + 0.24 contrast + 0.23 harmony + 0.22 variety          each term 0..1

mood: whether the design goes with what the faces say. contrast: how well the people stand out
from it along their outline. harmony: whether its hues go with those of
clothes, hair and skin. variety: chance, by the seed, so that similar photos do not all get the
same design; it chooses only among what stands out well enough.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.presets import Mood, Preset
from smart_filter_workers.backgrounds import impressions
from smart_filter_workers.backgrounds.impressions import Impression
from smart_filter_workers.backgrounds.sitters import Sitters
from smart_filter_workers.backgrounds.tones import Tone
from smart_filter_workers.results import Terms

Scores = NDArray[np.float32]  # (N,), one a design

# The mood is what people notice first and argue about; then whether the person stands out;
# clashing hues are rarer than either. Variety is as heavy as what separates good designs: at
# 0.12 159 training photos get 49 designs, at 0.22 55 (all chosen on these, by looking).
WEIGHTS: Final[Mapping[str, float]] = {
    "mood": 0.31,
    "contrast": 0.24,
    "harmony": 0.23,
    "variety": 0.22,
}
# What is left of the term when a mood is not the first, but the second … that a design has.
RANKS: Final = (1.0, 0.95, 0.9, 0.85)
# How near other moods are to one; those that are not named are not near at all.
NEAR: Final[Mapping[frozenset[Mood], float]] = {
    frozenset({Mood.JOYFUL, Mood.SURPRISED}): 0.5,
    frozenset({Mood.JOYFUL, Mood.TENDER}): 0.4,
    frozenset({Mood.CALM, Mood.TENDER}): 0.5,
    frozenset({Mood.CALM, Mood.SERIOUS}): 0.45,
    frozenset({Mood.CALM, Mood.SAD}): 0.5,
    frozenset({Mood.SERIOUS, Mood.TENSE}): 0.5,
    frozenset({Mood.SERIOUS, Mood.SAD}): 0.4,
}
# Distance in OKLab from which more does not part people from their background any better:
# black hair before a mid-grey wall.
ENOUGH_APART: Final = 0.25
# How much the worst fifth of the outline counts beside its mean: there people melt.
WORST_SHARE: Final = 0.4
WORST_OF: Final = 0.2
# The share from which a colour of the clothes must not be the background's: a jacket's.
MUCH_OF_CLOTHES: Final = 0.25
# Chroma from which a hue speaks at all, and fully (OKLCH); below, colours go with everything.
HUE_FROM: Final = 0.03
HUE_FULLY_FROM: Final = 0.11
# How two hues agree by the angle between them: alike and opposite ones do, those in between
# are neither; at 90° they quarrel most. After the regions of similarity, ambiguity and contrast
# in Moon & Spencer 1944, "Geometric formulation of classical color harmony", their numbers
# chosen by looking.
HUES_APART: Final = (0, 25, 50, 90, 120, 150, 180)
AGREEING: Final = (1.0, 0.95, 0.5, 0.05, 0.3, 0.75, 0.9)
# Hair and skin are less of a picture than clothes, and of much the same hue in everybody.
HAIR_SHARE: Final = 0.2
SKIN_SHARE: Final = 0.3
# Both strong, colours shout at each other whatever their hues: the sum of chromas where that
# begins, and what each 0.1 beyond costs.
LOUD_FROM: Final = 0.26
LOUD_COST: Final = 0.25
# A design without a hue quarrels with nothing and adds nothing: a little less than one that goes
# with the clothes, or white walls would stand behind everybody in black. A pastel is coloured
# enough; a whole wall of more than this outshouts whoever stands before it.
PLAIN_COST: Final = 0.25
COLOURED_FROM: Final = 0.06
SHRILL_FROM: Final = 0.11
SHRILL_COST: Final = 0.4
# A pattern before a pattern: what each costs at a spread of 0.1 of both, in OKLab.
BUSY_COST: Final = 0.25


@dataclass(frozen=True, slots=True)
class Beside:
    """How designs look beside the people of a photo.

    apart, worst: mean distance in OKLab across the outline, and across the third of it where it
    is least.  from_clothes: from the nearest colour that much of the clothes has, to the whole
    design's mean.  contrast, harmony: 0..1.
    """

    apart: Scores
    worst: Scores
    from_clothes: Scores
    contrast: Scores
    harmony: Scores


def beside(presets: Sequence[Preset], sitters: Sitters) -> Beside:
    """Return how designs look beside people."""
    impression = impressions.of_all(tuple(presets))
    apart, plainly = _across(impression, sitters)
    least = max(1, plainly.shape[1] // 3)
    worst = np.partition(plainly, least - 1, axis=1)[:, :least].mean(axis=1)
    return Beside(
        apart.mean(axis=1),
        worst,
        _from_clothes(impression, sitters),
        contrast(apart),
        harmony(impression, sitters),
    )


def score(terms: Terms) -> float:
    """Return the weighted sum of a design's terms, 0..1."""
    return sum(weight * float(getattr(terms, name)) for name, weight in WEIGHTS.items())


def suits(preset: Preset, mood: Mood) -> float:
    """Return how well a design goes with a mood, 0..1."""
    near = [
        rank * (1.0 if own == mood else NEAR.get(frozenset({own, mood}), 0.0))
        for rank, own in zip(RANKS, preset.moods, strict=False)
    ]
    return max(near, default=0.0)


def contrast(apart: NDArray[np.float32]) -> Scores:
    """Return how well people stand out, 0..1, by (N, M) distances at places of their outline."""
    enough = np.minimum(apart / ENOUGH_APART, 1)
    at = int(WORST_OF * enough.shape[1])
    worst = np.partition(enough, at, axis=1)[:, at]
    return np.asarray((1 - WORST_SHARE) * enough.mean(axis=1) + WORST_SHARE * worst, np.float32)


def harmony(look: Impression, sitters: Sitters) -> Scores:
    """Return how well the hues of designs go with those of the people, 0..1."""
    worn = _worn(sitters)
    cells = look.lab.reshape(len(look.lab), -1, 3)
    if not worn:
        return np.ones(len(look.lab), np.float32)
    chroma = np.hypot(cells[..., 1], cells[..., 2])[..., None]
    hue = np.rad2deg(np.arctan2(cells[..., 2], cells[..., 1]))[..., None]
    own_chroma = np.array([one.chroma for one, _ in worn])
    own_hue = np.array([one.hue for one, _ in worn])
    shares = np.array([share for _, share in worn])
    apart = np.abs((hue - own_hue + 180) % 360 - 180)
    agreeing = np.interp(apart, HUES_APART, AGREEING)
    disagreeing = _speaking(chroma) * _speaking(own_chroma) * (1 - agreeing)
    loud = np.maximum(chroma + own_chroma - LOUD_FROM, 0) / 0.1 * LOUD_COST
    against = ((disagreeing + loud) * shares).sum(axis=-1).mean(axis=1) / shares.sum()
    whole = chroma[..., 0]
    plain = PLAIN_COST * (1 - np.minimum(whole / COLOURED_FROM, 1)).mean(axis=1)
    shrill = np.maximum(whole - SHRILL_FROM, 0).mean(axis=1) / 0.1 * SHRILL_COST
    busy = BUSY_COST * np.minimum(sitters.pattern / 0.1, 2) * look.spread.mean(axis=(1, 2)) / 0.1
    return np.asarray(np.clip(1 - against - plain - shrill - busy, 0, 1), np.float32)


def chance(name: str, seed: int) -> float:
    """Return a number that the seed gives a design, evenly spread over 0..1."""
    digest = hashlib.blake2b(f"{seed} {name}".encode(), digest_size=4).digest()
    return int.from_bytes(digest) / 2**32


def _across(look: Impression, sitters: Sitters) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return how far people's colours are from designs' across the outline: (N, M), OKLab.

    First from what is drawn, then from its mean: in the worst places no dot helps.
    """
    if not len(sitters.outline_lab):
        nowhere = np.full((len(look.lab), 1), ENOUGH_APART / 2, np.float32)
        return nowhere, nowhere
    column = (sitters.outline_at[:, 0] * impressions.COLUMNS).astype(np.int64)
    row = (sitters.outline_at[:, 1] * impressions.ROWS).astype(np.int64)
    squared = ((look.lab[:, row, column] - sitters.outline_lab) ** 2).sum(axis=-1)
    # Of a mean square: what scatters about its mean is that much farther away.
    apart = np.sqrt(squared + look.spread[:, row, column] ** 2)
    return np.asarray(apart, np.float32), np.asarray(np.sqrt(squared), np.float32)


def _from_clothes(look: Impression, sitters: Sitters) -> Scores:
    mean = look.lab.mean(axis=(1, 2))
    away = [
        np.linalg.norm(mean - np.array(one.lab, np.float32), axis=-1)
        for one in sitters.clothes
        if one.share >= MUCH_OF_CLOTHES
    ]
    if not away:
        return np.ones(len(mean), np.float32)
    return np.asarray(np.min(away, axis=0), np.float32)


def _worn(sitters: Sitters) -> list[tuple[Tone, float]]:
    """Return the tones that a background must go with, and how much each counts."""
    worn = [(one, one.share) for one in sitters.clothes]
    if sitters.hair is not None:
        worn.append((sitters.hair, HAIR_SHARE))
    if sitters.skin is not None:
        worn.append((sitters.skin, SKIN_SHARE))
    return worn


def _speaking(chroma: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much a colour's hue says, 0..1, by its chroma."""
    share = (chroma - HUE_FROM) / (HUE_FULLY_FROM - HUE_FROM)
    return np.asarray(np.clip(share, 0, 1), np.float32)
