"""The keywords that find backgrounds, and the number of backgrounds that each finds.

The workers decide what a word means and how well a background matches it.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from smart_filter_shared.presets import PRESETS, SURFACE_FAMILIES, Preset, synonyms
from smart_filter_wire.catalog import Keyword
from smart_filter_wire.words import KeywordKind

# Words for the lightness or saturation of a background's colors.
TONES: Final = frozenset("dark light bright pastel vivid muted neutral".split())
# Tags searched for one synonym; later tags fit it too loosely.
_MAX_TAGS: Final = 4


def list_words(among: Iterable[Preset]) -> list[Keyword]:
    """Return the keywords that match any of these backgrounds, in alphabetical order.

    The list is not complete: other CSS color names match too, and some misspelled words do.
    """
    presets = tuple(among)
    answering: dict[str, set[int]] = defaultdict(set)
    for number, preset in enumerate(presets):
        for word in words_of(preset):
            answering[word].add(number)
    moods = Counter(mood for preset in presets for mood in preset.moods)

    def count(word: str, kind: KeywordKind) -> int | None:
        match kind:
            case KeywordKind.COLOR | KeywordKind.TONE:
                return None
            case KeywordKind.MOOD:
                return moods[synonyms.MOODS[word]]
            case _:
                wanted = expand_word(word, answering.keys())
                return len(set().union(*(answering.get(asked, ()) for asked in wanted)))

    words = [
        Keyword(word.replace("-", " "), kind, count(word, kind))
        for word, kind in _classify_words(presets).items()
    ]
    # Leave out synonyms of tags that no background has.
    return sorted((listed for listed in words if listed.count != 0), key=lambda listed: listed.word)


def list_tags(among: Iterable[Preset] = PRESETS) -> frozenset[str]:
    """Return all words that match any background."""
    return frozenset(word for preset in among for word in words_of(preset))


def words_of(preset: Preset) -> frozenset[str]:
    """Return the words that match a background."""
    return frozenset({base_name(preset), *_tags_of(preset)})


def base_name(preset: Preset) -> str:
    """Return a background's name without its source: `beach` for `tenant/beach`."""
    _, _, name = preset.name.rpartition("/")
    return name


def expand_word(word: str, tags: Collection[str]) -> list[str]:
    """Return the tags that a word stands for, the best first; the word itself if it is a tag.

    tags: the words of all backgrounds.
    """
    wanted = [word] if word in tags else []
    wanted += [tag for tag in synonyms.SYNONYMS.get(word, "").split() if tag not in wanted]
    return wanted[:_MAX_TAGS]


def _tags_of(preset: Preset) -> set[str]:
    surface = {"texture"} if preset.family in SURFACE_FAMILIES else set()
    return {*preset.tags, preset.family} | surface


def _classify_words(presets: Sequence[Preset]) -> Mapping[str, KeywordKind]:
    """Return the kind of each word; for a word of several kinds the last entry below wins."""
    tags = {tag for preset in presets for tag in _tags_of(preset)}
    return {
        **dict.fromkeys(synonyms.SYNONYMS, KeywordKind.SYNONYM),
        **dict.fromkeys(map(base_name, presets), KeywordKind.NAME),
        **dict.fromkeys(tags, KeywordKind.TAG),
        **dict.fromkeys(synonyms.MOODS, KeywordKind.MOOD),
        **dict.fromkeys(TONES, KeywordKind.TONE),
        **dict.fromkeys(synonyms.COLOR_WORDS, KeywordKind.COLOR),
    }
