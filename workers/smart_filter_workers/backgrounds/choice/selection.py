"""Rank designs by how well they suit the people in a photo, and say why the best one does.

A design's score (`scoring`) combines the mood of the faces, the contrast along the people's
outline, and the harmony of colors. The best design that people stand out from is used. `keywords`
uses the same scores after the keywords.

Some designs do not suit a photo whatever their score, so others are preferred. People are in front
of a background, so heads and shoes would cross a frame. In daylight people do not stand under
stars, and their feet stand on a floor. People who are cut off below the hips are before a plain
wall. Nothing is lighter than the people's own whites, and in dim light it is not day behind them.
Strong colors do not suit a photo in black and white.

A reason names a color only if it is certain, and never hair: it may be a hat or a scarf.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from smart_filter_shared.presets import (
    FRAMED_FAMILY,
    OUT_OF_FOCUS_FAMILIES,
    PRESETS,
    SIDE_LIT_FAMILIES,
    Preset,
)
from smart_filter_shared.results import ChosenBackground
from smart_filter_wire.findings import BackgroundCandidate, BackgroundTerms
from smart_filter_workers.backgrounds import colors, library
from smart_filter_workers.backgrounds.choice import color_layout, scoring
from smart_filter_workers.backgrounds.choice.moods import InferredMood
from smart_filter_workers.backgrounds.choice.subject_stats import SubjectStats
from smart_filter_workers.backgrounds.colors import NamedColor

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

# A design with this tag and one of the outdoor tags shows a night outdoors, not just something
# dark.
_NIGHT_TAG: Final = "night"
_OUTDOOR_TAGS: Final = frozenset({"stars", "lights"})
# Families that show a day outdoors, and the brightness of whites from which people may stand in it:
# in the shade of a street it is 0.6 (by looking at 32 training photos in dim light).
_DAYLIGHT_FAMILIES: Final = frozenset({"garden", "horizon"})
_DAYLIGHT_FROM: Final = 0.6
# In OKLCH: mean chroma of a design, and chroma of any of its colors, from which it counts as
# colored.
_MUTED_BELOW: Final = 0.038
_STRONG_FROM: Final = 0.075

# Difference of OKLab lightness from which something is called lighter.
_LIGHTER_BY: Final = 0.12
# Chroma from which a color is named; greatest angle of hues that count as the same color, and least
# angle of opposite ones.
_COLORED_FROM: Final = 0.06
_SAME_HUE_DEGREES: Final = 30
_OPPOSITE_HUE_DEGREES: Final = 140
_NOT_COLORS: Final = frozenset({"", "dark", "light"})


def choose_preset(
    feeling: InferredMood, sitters: SubjectStats, *, seed: int, among: Sequence[Preset] = PRESETS
) -> ChosenBackground:
    """Return the preset chosen for a photo of at least one person.

    seed: 0 or more.  among: presets to choose from, at least one.
    """
    ranked = rank(
        [(preset.name, preset) for preset in among], feeling, sitters, seed=seed, of=among
    )
    best = ranked[0].preset
    reason = f"{feeling.read_from}: {feeling.wish}, so {best.title}"
    return ChosenBackground(
        kind="preset",
        name=best.name,
        keywords=best.tags,
        reason=reason + describe_match(best, sitters),
        candidates=to_candidates(ranked),
        light=round(sitters.light, 3),
    )


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
        first = is_suitable(preset, sitters), bool(stands_out[index]), met
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


def is_suitable(preset: Preset, sitters: SubjectStats) -> bool:
    """Return whether a design suits these people at all."""
    if preset.family == FRAMED_FAMILY:
        return False
    if not sitters.in_the_dark and shows_night(preset):
        return False
    if preset.brightness > sitters.lightest:
        return False
    if sitters.lightest < _DAYLIGHT_FROM and preset.family in _DAYLIGHT_FAMILIES:
        return False
    if (sitters.full_length or sitters.cut_off) and preset.family in OUT_OF_FOCUS_FAMILIES:
        return False
    return not sitters.monochrome or is_muted(preset)


def shows_night(preset: Preset) -> bool:
    """Return whether a design shows a night outdoors."""
    return _NIGHT_TAG in preset.tags and not _OUTDOOR_TAGS.isdisjoint(preset.tags)


def is_muted(preset: Preset) -> bool:
    """Return whether a design has little color, both on average and in its details."""
    seen = color_layout.for_preset(preset).lab
    drawn = colors.linear_to_oklab(colors.parse_hex(preset.palette))
    strongest = float(np.hypot(drawn[:, 1], drawn[:, 2]).max())
    whole = float(np.hypot(seen[..., 1], seen[..., 2]).mean())
    return whole < _MUTED_BELOW and strongest < _STRONG_FROM


def describe_match(preset: Preset, sitters: SubjectStats) -> str:
    """Return how a design looks with the people, as the end of a sentence; "" for nothing.

    For example ", lighter than the blue clothes, its yellow opposite their blue".
    """
    look = color_layout.for_preset(preset).lab
    parts = [_light(preset, sitters.light)]
    if sitters.clothes:
        clothes = sitters.clothes[0]
        color = colors.to_named_color(look.reshape(-1, 3).mean(axis=0), 1.0)
        parts = [_lightness(color, clothes), _hue(color, clothes), *parts]
    return "".join(f", {part}" for part in parts if part)


def _lightness(color: NamedColor, clothes: NamedColor) -> str:
    lighter = color.lightness - clothes.lightness
    name = clothes.certain_name
    # "Darker than the dark clothes" is true but useless.
    if abs(lighter) <= _LIGHTER_BY or name in {"", "dark" if lighter < 0 else "light"}:
        return ""
    return f"{'lighter' if lighter > 0 else 'darker'} than the {name} clothes"


def _hue(color: NamedColor, clothes: NamedColor) -> str:
    if min(color.chroma, clothes.chroma) < _COLORED_FROM:
        return ""
    if not _NOT_COLORS.isdisjoint((color.certain_name, clothes.certain_name)):
        return ""
    apart = float(np.abs((color.hue - clothes.hue + 180) % 360 - 180))
    if apart <= _SAME_HUE_DEGREES:
        return f"in the clothes' own {clothes.name}" if color.name == clothes.name else ""
    return (
        f"its {color.name} opposite their {clothes.name}" if apart >= _OPPOSITE_HUE_DEGREES else ""
    )


def _light(preset: Preset, light: float) -> str:
    if preset.family not in SIDE_LIT_FAMILIES or not library.is_certain(light):
        return ""
    return f"with light from the {'right' if light > 0 else 'left'} as on them"
