"""Rank backgrounds by how well they suit the people in a photo."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_wire.findings import BackgroundCandidate, BackgroundTerms
from smart_filter_workers.backgrounds.choice import exclusions, scoring
from smart_filter_workers.backgrounds.choice.moods import InferredMood
from smart_filter_workers.backgrounds.choice.subject_stats import SubjectStats

# Candidates reported in the answer, the chosen one first.
MAX_REPORTED: Final = 5
# Share of all designs that the chosen one must exceed in contrast to the people, so that variety
# never costs contrast.
MIN_CONTRAST_RANK: Final = 0.5
# A coat must not blend into the background where the hair stands out: least contrast of the worst
# third of the outline, in OKLab, or this quantile over all designs if few reach it.
MIN_WORST_CONTRAST: Final = 0.22
MIN_WORST_RANK: Final = 0.8
# The design must not have the color of a jacket, of hair or of skin: least distance in OKLab.
# Cream before white is 0.06 to 0.1.
MIN_CLOTHES_DISTANCE: Final = 0.13
# Least share of hair's outline on which nothing remains of the old background that shows.
MIN_BLENDING: Final = 0.6
REPORTED_DIGITS: Final = 3


@dataclass(frozen=True, slots=True)
class RankedPreset:
    """A background by name, with its preset, its score and the score's terms."""

    preset: Preset
    candidate: BackgroundCandidate


def rank(
    presets: Sequence[tuple[str, Preset]],
    feeling: InferredMood,
    sitters: SubjectStats,
    *,
    seed: int,
    of: Sequence[Preset],
) -> list[RankedPreset]:
    """Return backgrounds, the best first.

    Backgrounds that do not suit the photo come last; before them, those that people do not stand
    out from, or not everywhere.
    presets: the backgrounds to rank, by name.  of: all available ones; people stand out from a
    background if its contrast exceeds the quantile MIN_CONTRAST_RANK of these.
    """
    looks = scoring.measure_match(of, sitters)
    stands_out = looks.apart >= np.quantile(looks.apart, MIN_CONTRAST_RANK)
    melts_nowhere = looks.worst >= min(
        MIN_WORST_CONTRAST, float(np.quantile(looks.worst, MIN_WORST_RANK))
    )
    # If no design meets every criterion, prefer one that differs from the clothes and on which no
    # halo shows (weight 2): white before white and a bright rim around hair are the worst. A design
    # without the mood at all does not suit either.
    everywhere = melts_nowhere.astype(int) + 2 * (looks.from_wearer >= MIN_CLOTHES_DISTANCE)
    at = {preset.name: index for index, preset in enumerate(of)}
    entries = []
    for name, preset in presets:
        terms = BackgroundTerms(
            mood=scoring.score_mood(preset, feeling.wanted),
            contrast=float(looks.contrast[at[preset.name]]),
            harmony=float(looks.harmony[at[preset.name]]),
            blending=float(looks.blending[at[preset.name]]),
            variety=scoring.seeded_chance(name, seed),
        )
        ranked = RankedPreset(preset, BackgroundCandidate(name, scoring.weigh_terms(terms), terms))
        index = at[preset.name]
        met = int(everywhere[index]) + (terms.mood > 0) + 2 * (terms.blending >= MIN_BLENDING)
        first = exclusions.is_suitable(preset, sitters), bool(stands_out[index]), met
        entries.append((first, ranked))
    # Sorting is stable: among equals the library's order decides, the same on all machines.
    entries.sort(key=lambda entry: (entry[0], entry[1].candidate.score), reverse=True)
    return [ranked for _, ranked in entries]


def to_candidates(ranked: Sequence[RankedPreset]) -> tuple[BackgroundCandidate, ...]:
    """Return the reported candidates of a ranking, rounded to three digits."""
    return tuple(_round_candidate(choice.candidate) for choice in ranked[:MAX_REPORTED])


def _round_candidate(candidate: BackgroundCandidate) -> BackgroundCandidate:
    terms = {name: round(value, REPORTED_DIGITS) for name, value in asdict(candidate.terms).items()}
    return BackgroundCandidate(
        candidate.name, round(candidate.score, REPORTED_DIGITS), BackgroundTerms(**terms)
    )
