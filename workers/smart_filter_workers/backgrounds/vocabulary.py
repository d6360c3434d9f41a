"""What words mean when somebody asks for a background by keywords.

A word is a tag of some design, a synonym of tags, a mood, a tone such as `pastel`, or a colour
by its CSS name or as #rrggbb; if it is none of these, it may be one of them misspelt.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from coloraide import Color

from smart_filter_shared.presets import PRESETS, Preset, synonyms
from smart_filter_shared.presets.words import TONES, asked_by, known_tags, own_name, words_of
from smart_filter_workers.backgrounds import colours, impressions

# What a word of so many letters may be off by: swapped neighbours, or a letter wrong, missing
# or too many, count one each. Of shorter words too many look alike.
_ONE_SLIP_FROM: Final = 4
_TWO_SLIPS_FROM: Final = 8
# Up to so many words are one: `sky blue`, `fairy lights`.
_LONGEST_NAME: Final = 4
_WORD: Final = re.compile(r"#(?:[0-9a-f]{6}|[0-9a-f]{3})(?![^\W_])|[^\W_]+")
# A tag says less than a name that is nothing else: of all rainbows the one that is called so.
_BY_TAG: Final = 0.87
# Of a colour, a tone or a mood: less than what is shown, so that a dark rainbow is a rainbow.
_WEIGHT: Final = 0.6
# The distance in OKLab over which a colour stops being like another, and how much less it is
# when only one is the stronger: red is said of brick red, too (both chosen by looking).
_ALIKE: Final = 0.12
_OF_CHROMA: Final = 0.7
# The distance over which a colour stops being the one that a code writes.
_SAME: Final = 0.08
# Below so much of its chroma another colour does not answer it whole; vivid ones are whole above.
_STRONG_SHARE: Final = 0.8
_STRONG: Final = 0.12
_GREY: Final = 0.005
# Chroma in OKLab up to which colours are pastel and from which they are vivid.
_PASTEL: Final = 0.15
_VIVID: Final = 0.14

# Tags that a surface lends to what is printed on it; its colours it does not lend.
SURFACE_TAGS: Final = frozenset(
    "texture paper kraft craft fabric cloth linen denim tweed wool burlap canvas plaster "
    "wall".split()
)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a word asks for.

    word: as it was sent.  read_as: the word it was taken for, the same unless misspelt.
    fits: how well a design answers it, 0 to 1.  weight: how much that counts among others.
    of_surfaces: whether it asks for what a picture is printed on.
    """

    word: str
    read_as: str
    fits: Callable[[Preset], float]
    weight: float = 1.0
    of_surfaces: bool = False


def understand(text: str, among: Iterable[Preset] = PRESETS) -> tuple[list[Meaning], list[str]]:
    """Return what the words of a list mean, and the words that mean nothing here.

    text: words parted by commas or blanks; several are one if a design or a colour is called
    so (`fairy lights`, `sky blue`), and words such as `at` and `the` are none.
    among: designs whose tags and names are known.
    """
    meanings, unknown = [], []
    tags = known_tags(among)
    for part in text.lower().split(","):
        words = _WORD.findall(part)
        while words:
            found, read = _first(words, tags)
            if found is not None:
                meanings.append(found)
            elif words[0] not in synonyms.NO_WORDS:
                unknown.append(words[0])
            words = words[read:]
    # Once each, or a word said twice would outweigh the others.
    return list({one.read_as: one for one in meanings}.values()), list(dict.fromkeys(unknown))


def _first(words: list[str], tags: frozenset[str]) -> tuple[Meaning | None, int]:
    """Return what the first words mean together, as many as possible, and how many they are."""
    for count in range(min(_LONGEST_NAME, len(words)), 1, -1):
        found = _meaning("-".join(words[:count]), tags)
        if found is not None:
            return found, count
        found = _meaning("".join(words[:count]), tags)
        if found is not None:
            told = " ".join(words[:count])
            return replace(found, word=told, read_as=told), count
    if words[0] in synonyms.NO_WORDS:
        return None, 1
    return _meaning(words[0], tags) or _misspelt(words[0], tags), 1


def _meaning(word: str, tags: frozenset[str]) -> Meaning | None:
    """Return what a word means, if need be in its singular or plural."""
    forms = (word, word.removesuffix("s"), word.removesuffix("es"), f"{word}s")
    readings = (_exactly(form, word, tags) for form in forms)
    return next((found for found in readings if found is not None), None)


def _exactly(form: str, word: str, tags: frozenset[str]) -> Meaning | None:
    form = synonyms.SPELLINGS.get(form, form)
    colour = _colour(form)
    if colour is not None:
        weight = 1.0 if form.startswith("#") else _WEIGHT
        return Meaning(word, word, lambda preset: _coloured(preset, form, colour), weight)
    if form in TONES:
        return Meaning(word, word, lambda preset: _toned(preset, form), _WEIGHT)
    if form in synonyms.MOODS:
        return Meaning(
            word, word, lambda preset: float(synonyms.MOODS[form] in preset.moods), _WEIGHT
        )
    wanted = asked_by(form, tags)
    if not wanted:
        return None
    surface = wanted[0] in SURFACE_TAGS
    return Meaning(word, word, lambda preset: _tagged(preset, wanted), of_surfaces=surface)


def _misspelt(word: str, tags: frozenset[str]) -> Meaning | None:
    slips = 2 if len(word) >= _TWO_SLIPS_FROM else int(len(word) >= _ONE_SLIP_FROM)
    near = [
        (distance, known[0] != word[0], known)
        for known in {
            *tags,
            *synonyms.SYNONYMS,
            *synonyms.MOODS,
            *TONES,
            *synonyms.COLOUR_WORDS,
        }
        if len(known) >= _ONE_SLIP_FROM and (distance := _slips(word, known, most=slips)) <= slips
    ]
    if not near:
        return None
    _, _, taken_for = min(near)
    meaning = _meaning(taken_for, tags)
    if meaning is None:
        raise ValueError(f"{taken_for} is in the vocabulary and means nothing")
    return replace(meaning, word=word, read_as=taken_for)


def _slips(one: str, other: str, *, most: int) -> int:
    """Return by how many slips of the pen two words differ; `most` + 1 when by more.

    Source: the optimal string alignment distance, after Damerau 1964.
    """
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, left in enumerate(one):
        above, row = row, [i + 1]
        for j, right in enumerate(other):
            cost = min(above[j] + (left != right), above[j + 1] + 1, row[j] + 1)
            if i and j and left == other[j - 1] and one[i - 1] == right:
                cost = min(cost, before[j - 1] + 1)
            row.append(cost)
        before = above
    return min(row[-1], most + 1)


def _tagged(preset: Preset, wanted: list[str]) -> float:
    """1 for what is called so, less for the tag a word is best said by and its other readings."""
    if own_name(preset) == wanted[0] != preset.family:
        return 1.0
    own = words_of(preset)
    return next((_BY_TAG - 0.15 * rank for rank, tag in enumerate(wanted) if tag in own), 0.0)


def _colour(word: str) -> colours.Colours | None:
    """Return the colour that a word names, (3,) OKLab."""
    code = word.removeprefix("#")
    if word in synonyms.NO_COLOURS or not code.isascii() or not (code != word or word.isalpha()):
        return None
    found = Color.match(synonyms.MORE_COLOURS.get(word, word), fullmatch=True)
    if found is None:
        return None
    written = found.color.convert("srgb").to_string(hex=True, alpha=False)
    return np.asarray(colours.oklab(colours.read([written]))[0], np.float32)


def _coloured(preset: Preset, word: str, wanted: colours.Colours) -> float:
    """How much of a palette is like a colour; a tag says that it is what one sees."""
    if word.startswith("#"):  # whoever writes a colour's code means it, wherever one looks
        seen = impressions.of(preset).lab
        return float(np.exp(-((seen - wanted) ** 2).sum(axis=-1) / _SAME**2).mean())
    own = colours.oklab(colours.read(preset.palette))
    own_chroma, chroma = np.hypot(own[:, 1], own[:, 2]), float(np.hypot(wanted[1], wanted[2]))
    apart = ((own - wanted) ** 2).sum(axis=-1) - (1 - _OF_CHROMA**2) * (own_chroma - chroma) ** 2
    away = np.sqrt(np.maximum(apart, 0))
    # A grey that is near a colour is still a grey.
    strong = max(_STRONG_SHARE * min(chroma, _STRONG), _GREY)
    alike = np.exp(-((away / _ALIKE) ** 2)) * np.minimum((own_chroma + _GREY) / strong, 1)
    share = 0.5 * float(alike.max()) + 0.5 * float(alike.mean())
    return 0.45 + 0.55 * share if word in words_of(preset) else 0.9 * share


def _toned(preset: Preset, word: str) -> float:
    """How dark, light, pastel … a design is."""
    lab = colours.oklab(colours.read(preset.palette))
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    mean, most = float(chroma.mean()), float(chroma.max())
    dark = _rising(0.5 - preset.brightness)
    light = _rising(preset.brightness - 0.6)
    return {
        "dark": dark,
        "light": light,
        "bright": light,
        "pastel": light * _rising(mean - 0.02, over=0.03) * _rising(_PASTEL - most, over=0.04),
        "vivid": _rising(most - _VIVID, over=0.06),
        "muted": _rising(_VIVID - most, over=0.06),
        "neutral": _rising(0.06 - mean, over=0.04),
    }[word]


def _rising(value: float, *, over: float = 0.2) -> float:
    """Return 0 up to 0, 1 from `over` on, and between them in between."""
    return min(max(value / over, 0.0), 1.0)
