"""Keywords that find backgrounds: tags with their synonyms, moods, colors, and what each finds."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from smart_filter_shared.presets import PRESETS, SURFACE_FAMILIES, Mood, Preset
from smart_filter_wire.catalog import Keyword
from smart_filter_wire.words import KeywordKind

# Tags by synonym, the best-fitting tag first.
SYNONYMS: Final[Mapping[str, str]] = {
    "abstract": "gradient geometric",
    "anniversary": "celebration wedding",
    "arc": "arcs",
    "autumnal": "autumn",
    "baby": "pastel",
    "backdrop": "studio",
    "balcony": "window",
    "beach": "sea sand holiday waves",
    "ball": "dots",
    "baptism": "elegant",
    "bday": "birthday",
    "blur": "bokeh",
    "blurred": "bokeh",
    "blurry": "bokeh",
    "bridal": "wedding",
    "brick": "plaster terracotta",
    "carnival": "party confetti",
    "celebrate": "celebration",
    "christmas": "christmas snow",
    "cinema": "dramatic",
    "city": "urban",
    "clean": "plain minimal",
    "cloudy": "clouds",
    "coast": "sea sand",
    "colors": "colorful",
    "colourful": "colorful",
    "colours": "colorful",
    "comics": "comic",
    "corporate": "business",
    "cozy": "warm",
    "cosy": "warm",
    "crystal": "facets",
    "cute": "sweet pastel",
    "dawn": "morning",
    "desktop": "plain",
    "diamond": "facets",
    "disco": "party neon",
    "dot": "dots",
    "dusk": "dusk evening",
    "earthy": "terracotta natural",
    "easter": "spring pastel",
    "evening": "evening sunset",
    "fall": "autumn",
    "fashion": "studio",
    "festival": "party",
    "fir": "forest",
    "flame": "fire",
    "flat": "plain",
    "floral": "flowers petals",
    "flower": "flowers",
    "foggy": "fog",
    "foliage": "leaves",
    "funky": "fun pop",
    "galaxies": "galaxy",
    "gay": "pride",
    "ghost": "halloween",
    "girly": "pink sweet",
    "glamour": "luxury gold",
    "glitter": "gold lights",
    "golden": "gold",
    "granite": "stone",
    "heart": "hearts",
    "heaven": "sky clouds",
    "hill": "hills",
    "holidays": "holiday",
    "hygge": "warm",
    "icy": "ice",
    "jean": "denim",
    "jungle": "palm leaves",
    "lamp": "lights",
    "lgbt": "pride",
    "linkedin": "business",
    "lovely": "romantic",
    "luxurious": "luxury",
    "magic": "stars lights",
    "mediterranean": "terracotta",
    "memphis": "retro",
    "metropolis": "urban",
    "minimalist": "minimal plain",
    "minimalistic": "minimal plain",
    "mist": "fog",
    "misty": "fog",
    "modern": "minimal geometric",
    "mosaic": "terrazzo facets",
    "mountain": "mountains",
    "natural": "natural nature",
    "nighttime": "night",
    "nocturnal": "night",
    "northern": "north",
    "ocean": "sea water",
    "office": "business",
    "old": "vintage classic",
    "origami": "facets",
    "painted": "watercolor painting",
    "painterly": "painting",
    "park": "garden",
    "passport": "plain studio",
    "pattern": "geometric dots stripes",
    "pine": "forest",
    "playful": "fun",
    "polka": "dots",
    "polygon": "polygons",
    "professional": "business",
    "proud": "pride",
    "pumpkin": "halloween",
    "queer": "pride",
    "ray": "rays",
    "regal": "luxury",
    "romance": "romantic",
    "rough": "texture rustic",
    "sandy": "sand",
    "seaside": "sea sand holiday waves",
    "seventies": "retro vintage",
    "shade": "shadow",
    "shiny": "silk satin",
    "shore": "sea sand",
    "silky": "silk",
    "simple": "plain minimal",
    "smooth": "gradient silk",
    "snowy": "snow",
    "sophisticated": "elegant",
    "spooky": "halloween",
    "spotty": "dots",
    "starry": "stars",
    "street": "urban",
    "stripy": "stripes",
    "striped": "stripes",
    "stylish": "elegant",
    "sunburst": "rays",
    "sunny": "sunny sun",
    "sunrise": "morning",
    "sunshine": "sun sunny",
    "textile": "fabric",
    "textured": "texture",
    "tree": "forest",
    "trees": "forest",
    "twilight": "dusk",
    "universe": "space",
    "valentines": "valentine",
    "watercolour": "watercolor",
    "wave": "waves",
    "wavy": "waves",
    "whimsical": "fun sweet",
    "wintry": "winter",
    "wood": "forest",
    "woods": "forest",
    "woven": "fabric",
    "xmas": "christmas",
}

# Words of a query that carry no meaning.
STOP_WORDS: Final = frozenset(
    "a an the and or of in on at by to for from with before behind over under near my our some "
    "very like please background backgrounds wallpaper picture photo style".split()
)

# Spelling variants of colors, which are looked up before synonyms.
SPELLINGS: Final[Mapping[str, str]] = {"grey": "gray"}

MOODS: Final[Mapping[str, Mood]] = {
    "joyful": Mood.JOYFUL,
    "happy": Mood.JOYFUL,
    "cheerful": Mood.JOYFUL,
    "joy": Mood.JOYFUL,
    "calm": Mood.CALM,
    "peaceful": Mood.CALM,
    "relaxed": Mood.CALM,
    "quiet": Mood.CALM,
    "tender": Mood.TENDER,
    "gentle": Mood.TENDER,
    "loving": Mood.TENDER,
    "surprised": Mood.SURPRISED,
    "surprise": Mood.SURPRISED,
    "amazed": Mood.SURPRISED,
    "surprising": Mood.SURPRISED,
    "serious": Mood.SERIOUS,
    "solemn": Mood.SERIOUS,
    "formal": Mood.SERIOUS,
    "sad": Mood.SAD,
    "melancholy": Mood.SAD,
    "wistful": Mood.SAD,
    "lonely": Mood.SAD,
    "tense": Mood.TENSE,
    "angry": Mood.TENSE,
    "fierce": Mood.TENSE,
}

# CSS color names that mean something else for backgrounds, or no color at all.
NO_COLORS: Final = frozenset({"transparent", "currentcolor", "snow", "linen"})
# Colors that CSS has no name for.
MORE_COLORS: Final[Mapping[str, str]] = {
    "apricot": "#fbceb1",
    "blush": "#f3c6c4",
    "burgundy": "#6d1a36",
    "champagne": "#f0dcb8",
    "cream": "#fff4dc",
    "emerald": "#1f8a5f",
    "gold": "#d9a83c",
    "lavender": "#b9a7e6",
    "lilac": "#c8a2d8",
    "mauve": "#b98fb5",
    "mint": "#a5e6cb",
    "mustard": "#d9a72e",
    "ochre": "#cc9a3a",
    "peach": "#ffc9a8",
    "rose": "#f0a3b0",
    "sage": "#a3b79a",
    "sand": "#e0c9a3",
    "terracotta": "#c96f4a",
    "turquoise": "#3cc4c4",
    "violet": "#8f5fc9",
}
COLOR_WORDS: Final = frozenset(
    "aqua beige black blue brown coral crimson cyan fuchsia gray green indigo ivory khaki lavender "
    "magenta maroon navy olive orange orchid pink plum purple red salmon silver teal white "
    "yellow".split()
) | frozenset(MORE_COLORS)

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
                return moods[MOODS[word]]
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
    wanted += [tag for tag in SYNONYMS.get(word, "").split() if tag not in wanted]
    return wanted[:_MAX_TAGS]


def _tags_of(preset: Preset) -> set[str]:
    surface = {"texture"} if preset.family in SURFACE_FAMILIES else set()
    return {*preset.tags, preset.family} | surface


def _classify_words(presets: Sequence[Preset]) -> Mapping[str, KeywordKind]:
    """Return the kind of each word; for a word of several kinds the last entry below wins."""
    tags = {tag for preset in presets for tag in _tags_of(preset)}
    return {
        **dict.fromkeys(SYNONYMS, KeywordKind.SYNONYM),
        **dict.fromkeys(map(base_name, presets), KeywordKind.NAME),
        **dict.fromkeys(tags, KeywordKind.TAG),
        **dict.fromkeys(MOODS, KeywordKind.MOOD),
        **dict.fromkeys(TONES, KeywordKind.TONE),
        **dict.fromkeys(COLOR_WORDS, KeywordKind.COLOR),
    }
