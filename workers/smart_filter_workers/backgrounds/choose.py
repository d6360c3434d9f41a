"""Which background goes with the faces in a photo: a pure function that says why.

Smiles and eyes make a mood, a mood has presets, and among them the seed decides; presets as
bright as the people themselves are left out while others remain. `keywords` asks the same of
the photo, after the words.
"""

from collections.abc import Sequence
from typing import Final

from smart_filter_shared.presets import PRESETS, Mood, Preset
from smart_filter_shared.rating import SmileLevel, rate
from smart_filter_workers.results import Chosen, Eyes, Smile

# Mean smile of the faces as the rating weighs it (none 0.2, mild 0.5, moderate 0.7, huge 1):
# joyful needs everybody to smile well or some to beam, tender at least a little from most.
JOYFUL_FROM: Final = 0.65
TENDER_FROM: Final = 0.4
# Without a smile, people who look into the camera look serious; with eyes shut, at rest.
SERIOUS_FROM: Final = 0.5
# Less than this between mean lumas and people do not stand out (chosen by looking).
CONTRAST: Final = 0.15

_WORDS: Final = {
    SmileLevel.HUGE: "smiling broadly",
    SmileLevel.MODERATE: "smiling",
    SmileLevel.MILD: "smiling a little",
    SmileLevel.NONE: "not smiling",
}
_COUPLE: Final = 2


def choose(
    smiles: Sequence[Smile],
    eyes: Sequence[Eyes],
    *,
    people: int,
    brightness: float,
    seed: int,
    among: Sequence[Preset] = PRESETS,
) -> Chosen:
    """Choose a preset for a photo of at least one person.

    smiles, eyes: one a face, in the same order.  people: how many persons are in the photo.
    brightness: mean Rec. 709 luma of the people, 0..1.  seed: 0 or more.
    among: presets to choose from, at least one for each mood.
    """
    felt, seen = mood(smiles, eyes, people)
    fitting = [preset for preset in among if felt in preset.moods]
    standing_out = [preset for preset in fitting if stands_out(preset, brightness)]
    candidates = standing_out or fitting
    preset = candidates[seed % len(candidates)]
    reason = f"{seen}: {felt}, so {preset.title}"
    if len(candidates) < len(fitting):
        reason += _contrast(preset, brightness)
    return Chosen(kind="preset", name=preset.name, keywords=preset.tags, reason=reason)


def stands_out(preset: Preset, brightness: float) -> bool:
    """Whether people of this mean luma, 0..1, stand out from a preset."""
    return abs(preset.brightness - brightness) >= CONTRAST


def mood(smiles: Sequence[Smile], eyes: Sequence[Eyes], people: int) -> tuple[Mood, str]:
    """Return the mood, and in words the scores that made it."""
    crowd = "1 person" if people == 1 else f"{people} people"
    if not smiles:
        return Mood.CALM, f"{crowd}, no face to be seen"
    open_eyes = sum(eye is True for pair in eyes for eye in (pair.left_open, pair.right_open))
    rating = rate([smile.level for smile in smiles], open_eyes)
    seen = (
        f"{crowd}, {_who_smiles(smiles, people)} ({rating.avg_smiling_score:.2f} of 1), "
        f"{open_eyes} of {2 * len(smiles)} eyes open"
    )
    if rating.avg_smiling_score >= JOYFUL_FROM:
        return Mood.JOYFUL, seen
    if rating.avg_smiling_score >= TENDER_FROM:
        return Mood.TENDER, seen
    return (Mood.SERIOUS if rating.open_eye_ratio >= SERIOUS_FROM / 2 else Mood.CALM), seen


def _who_smiles(smiles: Sequence[Smile], people: int) -> str:
    levels = [smile.level for smile in smiles]
    present = [level for level in _WORDS if level in levels]
    if len(present) > 1:
        return ", ".join(f"{levels.count(level)} {_WORDS[level]}" for level in present)
    words = _WORDS[present[0]]
    if people == 1:
        return words
    if len(levels) < people:
        return f"{len(levels)} with a face to be seen, {words}"
    return f"{'both' if people == _COUPLE else 'all'} {words}"


def _contrast(preset: Preset, brightness: float) -> str:
    side = "lighter" if preset.brightness > brightness else "darker"
    return f", which is {side} than the people ({preset.brightness:.2f} against {brightness:.2f})"
