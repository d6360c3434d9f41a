"""The backgrounds that can be asked for by name: what they are called, mean and look like.

Pure data: the API checks names against it, the workers choose by moods and brightness and
draw by family and palette. Another look of a family is one entry here; a new family is one
file among the workers' backgrounds as well.
"""

from dataclasses import dataclass
from enum import StrEnum


class Mood(StrEnum):
    """What the faces in a photo say, and what a background goes with."""

    JOYFUL = "joyful"
    CALM = "calm"
    TENDER = "tender"
    SERIOUS = "serious"


@dataclass(frozen=True, slots=True)
class Preset:
    """One background by name.

    family: the drawing that makes it.  tags: what it shows, for search by keywords.
    palette: its colours as #rrggbb, in the order that the family gives a meaning to.
    brightness: mean Rec. 709 luma of what is drawn, 0 black to 1 white, within 0.1.
    """

    name: str
    title: str
    family: str
    tags: tuple[str, ...]
    moods: tuple[Mood, ...]
    palette: tuple[str, ...]
    brightness: float


PRESETS: tuple[Preset, ...] = (
    Preset(
        name="sunrise",
        title="Sunrise",
        family="gradient",
        tags=("gradient", "warm", "pink", "peach", "soft", "morning"),
        moods=(Mood.TENDER, Mood.CALM),
        palette=("#ffd9b8", "#ff9f8e", "#f27ba5", "#a98be0", "#ffe9cf"),
        brightness=0.75,
    ),
    Preset(
        name="postcard",
        title="Postcard",
        family="framed",
        tags=("gradient", "frame", "white", "border", "turquoise", "pink", "holiday"),
        moods=(Mood.JOYFUL, Mood.TENDER),
        palette=("#35c4d8", "#5a9bf0", "#a98bf0", "#ff9ec0", "#7fd9e6", "#ffffff"),
        brightness=0.75,
    ),
    Preset(
        name="fairy-lights",
        title="Fairy lights",
        family="bokeh",
        tags=("bokeh", "lights", "night", "gold", "warm", "evening", "party"),
        moods=(Mood.TENDER,),
        palette=("#160f2b", "#43173f", "#ffb04a", "#ff7a3c", "#ff5c8a", "#ffa860", "#ff9a3d"),
        brightness=0.21,
    ),
    Preset(
        name="rainbow",
        title="Rainbow",
        family="stripes",
        tags=("rainbow", "stripes", "colourful", "retro", "pride", "fun"),
        moods=(Mood.JOYFUL,),
        palette=("#fff1d6", "#e8505b", "#f28f3b", "#f9c74f", "#6bbf7a", "#3d9bc9", "#7b5ea7"),
        brightness=0.64,
    ),
    Preset(
        name="paper",
        title="Paper",
        family="paper",
        tags=("paper", "watercolour", "texture", "beige", "plain", "craft"),
        moods=(Mood.CALM, Mood.SERIOUS),
        palette=("#f3ece0", "#a9c3bd", "#d9b99b"),
        brightness=0.87,
    ),
    Preset(
        name="sky",
        title="Summer sky",
        family="sky",
        tags=("sky", "clouds", "blue", "summer", "outdoor", "nature"),
        moods=(Mood.CALM, Mood.JOYFUL),
        palette=("#2f7fd6", "#8cc4f2", "#e3f1fa", "#ffffff", "#b9cbe0"),
        brightness=0.76,
    ),
    Preset(
        name="studio",
        title="Studio",
        family="studio",
        tags=("studio", "portrait", "grey", "dark", "spotlight", "business"),
        moods=(Mood.SERIOUS,),
        palette=("#15181c", "#3c434b", "#8d959d"),
        brightness=0.29,
    ),
    Preset(
        name="confetti",
        title="Confetti",
        family="confetti",
        tags=("confetti", "party", "birthday", "celebration", "colourful", "pink"),
        moods=(Mood.JOYFUL,),
        palette=("#fff4ea", "#ffd7de", "#ff5d73", "#ffb627", "#2ec4b6", "#4d7cfe", "#9b5de5"),
        brightness=0.89,
    ),
)
