"""Color statistics and moods of people, as the choice of a background reads them."""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from smart_filter_shared.catalog.emotions import EMOTIONS
from smart_filter_shared.presets import Mood
from smart_filter_shared.rating import SmileLevel
from smart_filter_shared.results import Emotion, Smile, Smiles
from smart_filter_wire.findings import Eyes
from smart_filter_workers.backgrounds import colors
from smart_filter_workers.backgrounds.choice import moods
from smart_filter_workers.backgrounds.choice.moods import InferredMood
from smart_filter_workers.backgrounds.choice.subject_stats import SubjectStats
from smart_filter_workers.backgrounds.colors import NamedColor

# The share of each emotion by name; absent names are 0.
Shares: TypeAlias = Mapping[str, float]

OPEN, SHUT = Eyes(left_open=True, right_open=True), Eyes(left_open=False, right_open=False)
SKIN = "#d8a488"
PLACES = 40


def a_tone(color: str, share: float = 1.0) -> NamedColor:
    return colors.to_named_color(colors.linear_to_oklab(colors.parse_hex([color]))[0], share)


def a_subject(
    *,
    hair: str | None = "#2a211c",
    clothes: str = "#5b5d61",
    light: float = 0.0,
    behind: str | None = None,
) -> SubjectStats:
    """Return a person in the middle: hair in the upper half of the outline, clothes below.

    behind: the photo's own background; None if it cannot be told from the person.
    """
    down = np.linspace(0.2, 0.95, PLACES, dtype=np.float32)
    side = np.where(np.arange(PLACES) % 2, 0.3, 0.7).astype(np.float32)
    upper, lower = colors.linear_to_oklab(colors.parse_hex([hair or clothes, clothes]))
    outline = np.where((down < 0.5)[:, None], upper, lower).astype(np.float32)
    ground = outline if behind is None else colors.linear_to_oklab(colors.parse_hex([behind]))
    return SubjectStats(
        outline_lab=outline,
        outline_at=np.stack([side, down], axis=-1),
        behind_lab=np.broadcast_to(ground, outline.shape),
        hair_outline=down < 0.5,
        hair=None if hair is None else a_tone(hair),
        skin=None if hair is None else a_tone(SKIN),
        clothes=(a_tone(clothes),),
        pattern=0.0,
        light=light,
    )


def smiles_of(*levels: SmileLevel, eyes: Eyes = OPEN) -> Smiles:
    """Return faces with these smiles."""
    return Smiles(tuple(Smile(level, 0.5) for level in levels), (eyes,) * len(levels))


def emotion_of(shares: Shares) -> Emotion:
    return tuple(shares.get(emotion, 0.0) for emotion in EMOTIONS)


def faces_showing(*faces: Shares | None) -> Smiles:
    """Return faces that do not smile, have open eyes, and show these emotions."""
    smiles = [
        Smile(SmileLevel.NONE, 0.1, None if face is None else emotion_of(face)) for face in faces
    ]
    return Smiles(tuple(smiles), (OPEN,) * len(smiles))


def mood_of(*levels: SmileLevel, people: int | None = None) -> InferredMood:
    """Return the mood of people with these smiles and open eyes."""
    return moods.infer_mood(smiles_of(*levels), people=people or max(1, len(levels)))


def mood_named(mood: Mood) -> InferredMood:
    return InferredMood(mood, "1 person")
