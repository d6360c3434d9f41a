"""Backgrounds in the order of how well they go with the people in a photo."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import misfits, scoring
from smart_filter_workers.backgrounds.moods import Feeling
from smart_filter_workers.backgrounds.sitters import Sitters
from smart_filter_workers.results import Candidate, Terms

# So many are named in the answer, the one that is used first.
TOLD: Final = 5
# People must stand out from a design at least as well as from this share of all: then variety
# never costs contrast (0.5 would do on paper; drawings differ a little from their means).
CONTRAST_RANK: Final = 0.55
# Nor must a coat melt where the hair stands out: what the worst third of the outline must have,
# OKLab, or be better than from this share of all designs where hardly any has that.
NOWHERE_LESS: Final = 0.22
WORST_RANK: Final = 0.8
# Nor must the whole design have the colour of a jacket or trousers, OKLab: cream before white is
# 0.06 to 0.1.
NOT_ALIKE: Final = 0.13
DIGITS: Final = 3


@dataclass(frozen=True, slots=True)
class Ranked:
    """A background by the name that draws it, the preset that it shows, and its score."""

    preset: Preset
    candidate: Candidate


def rank(
    named: Sequence[tuple[str, Preset]],
    feeling: Feeling,
    sitters: Sitters,
    *,
    seed: int,
    of: Sequence[Preset],
) -> list[Ranked]:
    """Return backgrounds, the best first.

    Those that do not go with the photo at all come last, before them those that people do not
    stand out from, or not everywhere.
    named: what to rank, by the name that draws it.  of: all that there is; to stand out is to
    do so better than from CONTRAST_RANK of these.
    """
    looks = scoring.beside(of, sitters)
    stands_out = looks.apart >= np.quantile(looks.apart, CONTRAST_RANK)
    melts_nowhere = looks.worst >= min(NOWHERE_LESS, float(np.quantile(looks.worst, WORST_RANK)))
    # Where no design can do all, white before white is the worst of it, and no sunburst belongs
    # behind the earnest either.
    everywhere = melts_nowhere.astype(int) + 2 * (looks.from_clothes >= NOT_ALIKE)
    at = {preset.name: index for index, preset in enumerate(of)}
    found = []
    for name, preset in named:
        terms = Terms(
            mood=scoring.suits(preset, feeling.wanted),
            contrast=float(looks.contrast[at[preset.name]]),
            harmony=float(looks.harmony[at[preset.name]]),
            variety=scoring.chance(name, seed),
        )
        ranked = Ranked(preset, Candidate(name, scoring.score(terms), terms))
        index = at[preset.name]
        met = int(everywhere[index]) + (terms.mood > 0)
        first = misfits.suits(preset, sitters), bool(stands_out[index]), met
        found.append((first, ranked))
    # Sorting is stable: among equals the library's order decides, the same everywhere.
    found.sort(key=lambda one: (one[0], one[1].candidate.score), reverse=True)
    return [ranked for _, ranked in found]


def told_of(ranked: Sequence[Ranked]) -> tuple[Candidate, ...]:
    """Return what an answer tells of backgrounds that were ranked, in three digits."""
    return tuple(_rounded(one.candidate) for one in ranked[:TOLD])


def _rounded(candidate: Candidate) -> Candidate:
    terms = {name: round(value, DIGITS) for name, value in asdict(candidate.terms).items()}
    return Candidate(candidate.name, round(candidate.score, DIGITS), Terms(**terms))
