"""Score how well designs suit the people in a photo, in five terms shown in the answer.

    score = 0.19 mood + 0.16 contrast + 0.13 harmony + 0.4 blending + 0.12 variety    each 0..1

mood: how well the design suits the faces' mood. contrast: how well the people stand out from it
along their outline. harmony: how well its hues suit clothes, hair and skin. blending: how little
remains of the old background along their outline show on it. variety: a random number by the seed,
so that similar photos get different designs; it only decides between designs with enough contrast.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.presets import Mood, Preset
from smart_filter_wire.findings import BackgroundTerms
from smart_filter_workers.backgrounds.choice import color_layout
from smart_filter_workers.backgrounds.choice.color_layout import ColorLayout
from smart_filter_workers.backgrounds.choice.subject_stats import SubjectStats
from smart_filter_workers.backgrounds.colors import NamedColor

Scores = NDArray[np.float32]  # (N,), one a design

# A rim of the old background spoils a picture whatever its mood, and is what a strict judge names
# most often. With this weight, dark curls before a pale street get a pale wall.
WEIGHTS: Final[Mapping[str, float]] = {
    "mood": 0.19,
    "contrast": 0.16,
    "harmony": 0.13,
    "blending": 0.4,
    "variety": 0.12,
}
# Score of the term by the rank of the mood among a design's moods: first, second …
MOOD_RANK_SCORES: Final = (1.0, 0.95, 0.9, 0.85)
# Similarity of moods; pairs that are not listed count 0.
RELATED_MOODS: Final[Mapping[frozenset[Mood], float]] = {
    frozenset({Mood.JOYFUL, Mood.SURPRISED}): 0.5,
    frozenset({Mood.JOYFUL, Mood.TENDER}): 0.4,
    frozenset({Mood.CALM, Mood.TENDER}): 0.5,
    frozenset({Mood.CALM, Mood.SERIOUS}): 0.45,
    frozenset({Mood.CALM, Mood.SAD}): 0.5,
    frozenset({Mood.SERIOUS, Mood.TENSE}): 0.5,
    frozenset({Mood.SERIOUS, Mood.SAD}): 0.4,
}
# Distance in OKLab from which people do not stand out any better: black hair before a mid-gray
# wall.
FULL_CONTRAST_DISTANCE: Final = 0.25
# Weight of the worst fifth of the outline, where people blend in, against the mean.
WORST_WEIGHT: Final = 0.4
WORST_QUANTILE: Final = 0.2
# Distance in OKLab from which remains of the old background show fully: between it and the new one,
# and between it and the people.
REMAINS_SHOW: Final = 0.3
# Hair keeps more of it than other outlines.
HAIR_REMAINS: Final = 3.0
# Least share of a color of the clothes, about a jacket's, that must differ from the background.
MIN_CLOTHES_SHARE: Final = 0.25
# Fair skin before a white wall is a common portrait; hair or a coat of its color is not.
SKIN_DISTANCE_WEIGHT: Final = 1.6
# Chroma from which a hue counts, and from which it counts fully (OKLCH); colors below it suit every
# other.
HUE_FROM: Final = 0.03
HUE_FULLY_FROM: Final = 0.11
# Agreement of two hues by their angle: similar and opposite hues agree, those in between are
# neutral, and at 90° they clash most. After the regions of similarity, ambiguity and contrast in
# Moon & Spencer 1944, "Geometric formulation of classical color harmony", with numbers chosen by
# looking.
HARMONY_ANGLES: Final = (0, 25, 50, 90, 120, 150, 180)
HARMONY_SCORES: Final = (1.0, 0.95, 0.5, 0.05, 0.3, 0.75, 0.9)
# Hair and skin cover less of a picture than clothes, and differ little in hue between people.
HAIR_WEIGHT: Final = 0.2
SKIN_WEIGHT: Final = 0.3
# Two strong colors clash for any hues: the sum of chromas from which they do, and the cost of each
# 0.1 above it.
LOUD_FROM: Final = 0.26
LOUD_COST: Final = 0.25
# A design without a hue clashes with nothing and adds nothing. It scores a little less than one
# that suits the clothes; otherwise everyone in black would get white walls. A pastel is colored
# enough. A whole wall with more chroma than SHRILL_FROM distracts from the people.
PLAIN_COST: Final = 0.25
COLORED_FROM: Final = 0.06
SHRILL_FROM: Final = 0.11
SHRILL_COST: Final = 0.4
# A pattern before a pattern: the cost at a spread of 0.1 in both, in OKLab.
BUSY_COST: Final = 0.25


@dataclass(frozen=True, slots=True)
class SubjectMatch:
    """How designs match the people of a photo.

    apart, worst: mean distance in OKLab across the outline, and across the third of it with the
    least.  from_wearer: from the nearest color of clothes, hair or skin (weighted) to the mean of
    the design, or of its upper half for hair and skin.  contrast, harmony, blending: 0..1.
    """

    apart: Scores
    worst: Scores
    from_wearer: Scores
    contrast: Scores
    harmony: Scores
    blending: Scores


def measure_match(presets: Sequence[Preset], sitters: SubjectStats) -> SubjectMatch:
    """Return how designs match the people of a photo."""
    impression = color_layout.for_presets(tuple(presets))
    apart, plainly = _distance_across_outline(impression, sitters)
    least = max(1, plainly.shape[1] // 3)
    worst = np.partition(plainly, least - 1, axis=1)[:, :least].mean(axis=1)
    return SubjectMatch(
        apart.mean(axis=1),
        worst,
        _distance_from_wearer(impression, sitters),
        score_contrast(apart),
        score_harmony(impression, sitters),
        score_blending(impression, sitters),
    )


def weigh_terms(terms: BackgroundTerms) -> float:
    """Return the weighted sum of a design's terms, 0..1."""
    return sum(weight * float(getattr(terms, name)) for name, weight in WEIGHTS.items())


def score_mood(preset: Preset, mood: Mood) -> float:
    """Return how well a design suits a mood, 0..1."""
    near = [
        rank
        * (1.0 if preset_mood == mood else RELATED_MOODS.get(frozenset({preset_mood, mood}), 0.0))
        for rank, preset_mood in zip(MOOD_RANK_SCORES, preset.moods, strict=False)
    ]
    return max(near, default=0.0)


def score_contrast(apart: NDArray[np.float32]) -> Scores:
    """Return the contrast of people, 0..1, by (N, M) distances at points of their outline."""
    enough = np.minimum(apart / FULL_CONTRAST_DISTANCE, 1)
    at = int(WORST_QUANTILE * enough.shape[1])
    worst = np.partition(enough, at, axis=1)[:, at]
    return np.asarray((1 - WORST_WEIGHT) * enough.mean(axis=1) + WORST_WEIGHT * worst, np.float32)


def score_harmony(look: ColorLayout, sitters: SubjectStats) -> Scores:
    """Return how well the hues of designs suit the people's, 0..1."""
    worn = _weigh_subject_colors(sitters)
    cells = look.lab.reshape(len(look.lab), -1, 3)
    if not worn:
        return np.ones(len(look.lab), np.float32)
    chroma = np.hypot(cells[..., 1], cells[..., 2])[..., None]
    hue = np.rad2deg(np.arctan2(cells[..., 2], cells[..., 1]))[..., None]
    own_chroma = np.array([color.chroma for color, _ in worn])
    own_hue = np.array([color.hue for color, _ in worn])
    shares = np.array([share for _, share in worn])
    apart = np.abs((hue - own_hue + 180) % 360 - 180)
    agreeing = np.interp(apart, HARMONY_ANGLES, HARMONY_SCORES)
    disagreeing = _hue_weight(chroma) * _hue_weight(own_chroma) * (1 - agreeing)
    loud = np.maximum(chroma + own_chroma - LOUD_FROM, 0) / 0.1 * LOUD_COST
    against = ((disagreeing + loud) * shares).sum(axis=-1).mean(axis=1) / shares.sum()
    whole = chroma[..., 0]
    plain = PLAIN_COST * (1 - np.minimum(whole / COLORED_FROM, 1)).mean(axis=1)
    shrill = np.maximum(whole - SHRILL_FROM, 0).mean(axis=1) / 0.1 * SHRILL_COST
    busy = BUSY_COST * np.minimum(sitters.pattern / 0.1, 2) * look.spread.mean(axis=(1, 2)) / 0.1
    return np.asarray(np.clip(1 - against - plain - shrill - busy, 0, 1), np.float32)


def score_blending(look: ColorLayout, sitters: SubjectStats) -> Scores:
    """Return how little remains of the old background along the outline show on designs, 0..1."""
    at, behind = sitters.outline_at, sitters.behind_lab
    if not len(at):
        return np.ones(len(look.lab), np.float32)
    column, row = (at * (color_layout.COLUMNS, color_layout.ROWS)).astype(np.int64).T
    from_new = np.linalg.norm(look.lab[:, row, column] - behind, axis=-1) / REMAINS_SHOW
    from_people = np.linalg.norm(sitters.outline_lab - behind, axis=-1) / REMAINS_SHOW
    shown = np.minimum(from_new, 1) * np.minimum(from_people, 1)
    weights = np.where(sitters.hair_outline, HAIR_REMAINS, 1.0)
    return np.asarray(1 - np.average(shown, axis=1, weights=weights), np.float32)


def seeded_chance(name: str, seed: int) -> float:
    """Return a pseudo-random number, 0..1, of a design for a seed."""
    digest = hashlib.blake2b(f"{seed} {name}".encode(), digest_size=4).digest()
    return int.from_bytes(digest) / 2**32


def _distance_across_outline(
    look: ColorLayout, sitters: SubjectStats
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the distances of people's colors from designs' across the outline: (N, M), OKLab.

    The first array is from the drawing with its spread, the second from its mean, for the worst
    places, where a pattern does not help.
    """
    if not len(sitters.outline_lab):
        nowhere = np.full((len(look.lab), 1), FULL_CONTRAST_DISTANCE / 2, np.float32)
        return nowhere, nowhere
    column = (sitters.outline_at[:, 0] * color_layout.COLUMNS).astype(np.int64)
    row = (sitters.outline_at[:, 1] * color_layout.ROWS).astype(np.int64)
    squared = ((look.lab[:, row, column] - sitters.outline_lab) ** 2).sum(axis=-1)
    # Root of the mean square: colors spread around the mean are farther away by the spread.
    apart = np.sqrt(squared + look.spread[:, row, column] ** 2)
    return np.asarray(apart, np.float32), np.asarray(np.sqrt(squared), np.float32)


def _distance_from_wearer(look: ColorLayout, sitters: SubjectStats) -> Scores:
    """Return the distance of the designs from the nearest color of clothes, hair or skin."""
    mean = look.lab.mean(axis=(1, 2))
    behind_heads = look.lab[:, : color_layout.ROWS // 2].mean(axis=(1, 2))
    worn = [color for color in sitters.clothes if color.share >= MIN_CLOTHES_SHARE]
    away = [np.linalg.norm(mean - np.array(color.lab, np.float32), axis=-1) for color in worn]
    for color, weight in ((sitters.hair, 1.0), (sitters.skin, SKIN_DISTANCE_WEIGHT)):
        if color is not None:
            behind = behind_heads - np.array(color.lab, np.float32)
            away.append(weight * np.linalg.norm(behind, axis=-1))
    if not away:
        return np.ones(len(mean), np.float32)
    return np.asarray(np.min(away, axis=0), np.float32)


def _weigh_subject_colors(sitters: SubjectStats) -> list[tuple[NamedColor, float]]:
    """Return the colors that a background must suit, with their weights."""
    worn = [(color, color.share) for color in sitters.clothes]
    if sitters.hair is not None:
        worn.append((sitters.hair, HAIR_WEIGHT))
    if sitters.skin is not None:
        worn.append((sitters.skin, SKIN_WEIGHT))
    return worn


def _hue_weight(chroma: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the weight of a color's hue, 0..1, by its chroma."""
    share = (chroma - HUE_FROM) / (HUE_FULLY_FROM - HUE_FROM)
    return np.asarray(np.clip(share, 0, 1), np.float32)
