"""People as whoever chooses a background sees them, in a few plain colours."""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from smart_filter_shared.emotions import EMOTIONS
from smart_filter_shared.presets import Mood
from smart_filter_shared.rating import SmileLevel
from smart_filter_workers.backgrounds import colours, moods, tones
from smart_filter_workers.backgrounds.moods import Feeling
from smart_filter_workers.backgrounds.sitters import Sitters
from smart_filter_workers.backgrounds.tones import Tone
from smart_filter_workers.results import Emotion, Eyes, Smile, Smiles

# How much of each emotion there is, by name; what is missing is none.
Shares: TypeAlias = Mapping[str, float]

OPEN, SHUT = Eyes(left_open=True, right_open=True), Eyes(left_open=False, right_open=False)
SKIN = "#d8a488"
PLACES = 40


def a_tone(colour: str, share: float = 1.0) -> Tone:
    return tones.tone(colours.oklab(colours.read([colour]))[0], share)


def some_sitters(
    *, hair: str | None = "#2a211c", clothes: str = "#5b5d61", light: float = 0.0
) -> Sitters:
    """Return somebody in the middle: hair in the upper half of the outline, clothes below."""
    down = np.linspace(0.2, 0.95, PLACES, dtype=np.float32)
    side = np.where(np.arange(PLACES) % 2, 0.3, 0.7).astype(np.float32)
    upper, lower = colours.oklab(colours.read([hair or clothes, clothes]))
    return Sitters(
        outline_lab=np.where((down < 0.5)[:, None], upper, lower).astype(np.float32),
        outline_at=np.stack([side, down], axis=-1),
        hair=None if hair is None else a_tone(hair),
        skin=None if hair is None else a_tone(SKIN),
        clothes=(a_tone(clothes),),
        pattern=0.0,
        light=light,
    )


def some_smiles(*levels: SmileLevel, eyes: Eyes = OPEN) -> Smiles:
    """Return faces that smile so."""
    return Smiles(tuple(Smile(level, 0.5) for level in levels), (eyes,) * len(levels))


def some_shares(named: Shares) -> Emotion:
    return tuple(named.get(one, 0.0) for one in EMOTIONS)


def showing(*faces: Shares | None) -> Smiles:
    """Return faces that do not smile, their eyes open, and show these emotions."""
    smiles = [
        Smile(SmileLevel.NONE, 0.1, None if one is None else some_shares(one)) for one in faces
    ]
    return Smiles(tuple(smiles), (OPEN,) * len(smiles))


def feeling(*levels: SmileLevel, people: int | None = None) -> Feeling:
    """Return the mood of people who smile so, their eyes open."""
    return moods.read(some_smiles(*levels), people=people or max(1, len(levels)))


def feeling_of(mood: Mood) -> Feeling:
    return Feeling(mood, "1 person")
