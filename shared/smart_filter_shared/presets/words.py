"""The words that backgrounds answer to, and how many answer each: what keywords may be.

What a word asks for, and how well a background answers it, is the workers' to say.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from smart_filter_shared.presets import PRESETS, SURFACE_FAMILIES, Preset, synonyms

# How dark or strong the colours of a background are.
TONES: Final = frozenset("dark light bright pastel vivid muted neutral".split())
# Tags beyond these fit a synonym too little to be looked for.
_MOST_TAGS: Final = 4


class WordKind(StrEnum):
    """What a word is; one that is several things is read as the first of them.

    name: a background's own.
    """

    COLOUR = "colour"
    TONE = "tone"
    MOOD = "mood"
    TAG = "tag"
    NAME = "name"
    SYNONYM = "synonym"


@dataclass(frozen=True, slots=True)
class Word:
    """A word that means something here.

    word: several with blanks, such as `fairy lights`.  count: of the backgrounds that answer it;
    None of colours and tones, which all answer more or less.
    """

    word: str
    kind: WordKind
    count: int | None


def known(among: Iterable[Preset]) -> list[Word]:
    """Return the words that mean something among these backgrounds, in order.

    CSS has names for more colours, which mean something too, and misspelt words may.
    """
    presets = tuple(among)
    answering: dict[str, set[int]] = defaultdict(set)
    for number, preset in enumerate(presets):
        for word in words_of(preset):
            answering[word].add(number)
    moods = Counter(mood for preset in presets for mood in preset.moods)

    def count(word: str, kind: WordKind) -> int | None:
        match kind:
            case WordKind.COLOUR | WordKind.TONE:
                return None
            case WordKind.MOOD:
                return moods[synonyms.MOODS[word]]
            case _:
                wanted = asked_by(word, answering.keys())
                return len(set().union(*(answering.get(one, ()) for one in wanted)))

    words = [
        Word(word.replace("-", " "), kind, count(word, kind))
        for word, kind in _kinds(presets).items()
    ]
    # Synonyms of tags that none of these has mean nothing.
    return sorted((one for one in words if one.count != 0), key=lambda one: one.word)


def known_tags(among: Iterable[Preset] = PRESETS) -> frozenset[str]:
    """Return all words that some background answers to."""
    return frozenset(word for preset in among for word in words_of(preset))


def words_of(preset: Preset) -> frozenset[str]:
    """Return the words that a background answers to."""
    return frozenset({own_name(preset), *_tags_of(preset)})


def own_name(preset: Preset) -> str:
    """Return a background's name without whose it is: of `tenant/beach` nobody says more."""
    _, _, name = preset.name.rpartition("/")
    return name


def asked_by(word: str, tags: Collection[str]) -> list[str]:
    """Return the words of backgrounds that a word asks for, the best first; itself, if it is one.

    tags: what is known of words of backgrounds.
    """
    wanted = [word] if word in tags else []
    wanted += [tag for tag in synonyms.SYNONYMS.get(word, "").split() if tag not in wanted]
    return wanted[:_MOST_TAGS]


def _tags_of(preset: Preset) -> set[str]:
    surface = {"texture"} if preset.family in SURFACE_FAMILIES else set()
    return {*preset.tags, preset.family} | surface


def _kinds(presets: Sequence[Preset]) -> Mapping[str, WordKind]:
    """Return what each word is; of several things the one that it is read as, which is last."""
    tags = {tag for preset in presets for tag in _tags_of(preset)}
    return {
        **dict.fromkeys(synonyms.SYNONYMS, WordKind.SYNONYM),
        **dict.fromkeys(map(own_name, presets), WordKind.NAME),
        **dict.fromkeys(tags, WordKind.TAG),
        **dict.fromkeys(synonyms.MOODS, WordKind.MOOD),
        **dict.fromkeys(TONES, WordKind.TONE),
        **dict.fromkeys(synonyms.COLOUR_WORDS, WordKind.COLOUR),
    }
