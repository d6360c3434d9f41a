"""The background of a recipe: its value, and how it is parsed."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from smart_filter_shared.catalog.scalars import quote_value
from smart_filter_shared.presets import PRESETS, Preset, find_preset
from smart_filter_shared.recipe.declaration import is_color, suggest_color
from smart_filter_shared.security import urls
from smart_filter_shared.security.outbound_rules import OutboundRules
from smart_filter_shared.suggestions import did_you_mean, find_nearest

MAX_KEYWORDS = 12
# Longest value of a background that a suggestion repeats.
_MAX_SHOWN_CHARACTERS = 60
MAX_KEYWORD_CHARACTERS = 40

# The word that clients write for no color, and the background that they mean.
_NO_COLOR = "none"
_TRANSPARENT_HINT = "; did you mean transparent?"
_COLOR_CODE = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6})", re.IGNORECASE)
_DECIMAL = re.compile(r"[0-9]{0,3}(\.[0-9]{1,9})?(?<=[0-9])")


class BackgroundKind(StrEnum):
    """The kind of the background behind the people."""

    AUTO = "auto"
    KEEP = "keep"
    TRANSPARENT = "transparent"
    COLOR = "color"
    PRESET = "preset"
    KEYWORDS = "keywords"
    BLUR = "blur"
    FILE = "file"
    URL = "url"


# Kinds that choose a background to suit the people (`keywords`: among those that match), and so
# need their faces.
SUBJECT_MATCHED_KINDS = frozenset({BackgroundKind.AUTO, BackgroundKind.KEYWORDS})


@dataclass(frozen=True, slots=True)
class Background:
    """The background behind the people.

    value: a CSS color for `color`, a preset's name for `preset`, comma-separated words for
    `keywords`, a strength from 0 to 1 for `blur`, a URL for `url`, else None.
    """

    kind: BackgroundKind = BackgroundKind.AUTO
    value: str | None = None

    def __str__(self) -> str:
        """Return the background as a recipe writes it, such as `color:#fff`."""
        return str(self.kind) if self.value is None else f"{self.kind}:{self.value}"


def restore_background(text: str) -> Background:
    """Return the background of a stored recipe.  Raises ValueError for an unknown kind."""
    kind, _, value = text.partition(":")
    return Background(BackgroundKind(kind), value or None)


def parse_background(
    text: str, presets: Iterable[Preset] = PRESETS, *, outbound: OutboundRules | None = None
) -> Background:
    """Parse the `background` field; return the background.

    presets: the presets that the caller may use.
    outbound: refuses URLs that can never be fetched; None: a worker decides.
    Raises ValueError, which says what is valid.
    """
    word, colon, value = text.partition(":")
    value = value.strip()
    if word not in set(BackgroundKind):
        kinds = (
            "auto, keep, transparent, color:CSS-COLOR, preset:NAME, keywords:WORD,WORD, "
            "blur:0..1, file or url:https://HOST/PATH"
        )
        hint = _suggest_background(text, presets)
        raise ValueError(f"{quote_value(text)} is not a background; use {kinds}{hint}")
    kind = BackgroundKind(word)
    if kind == BackgroundKind.COLOR:
        if not is_color(value):
            raise ValueError(
                f"{quote_value(value)} is not a CSS color; write, for example, color:#ff8800"
                f"{_TRANSPARENT_HINT if value == _NO_COLOR else suggest_color(value)}"
            )
        return Background(kind, value)
    if kind == BackgroundKind.PRESET:
        return Background(kind, _preset(value, presets))
    if kind == BackgroundKind.KEYWORDS:
        return Background(kind, _keywords(value))
    if kind == BackgroundKind.BLUR:
        return Background(kind, _strength(value))
    if kind == BackgroundKind.URL:
        return Background(kind, _address(value, outbound))
    if colon:
        raise ValueError(f"{kind} takes no value; write {kind} alone")
    return Background(kind)


def _suggest_background(text: str, presets: Iterable[Preset]) -> str:
    """Return the end of a sentence that suggests the whole background, empty without one."""
    word, colon, value = text.partition(":")
    suggested = ""
    if text.startswith(("http://", "https://")):
        suggested = f"{BackgroundKind.URL}:https://…"
    elif is_color(text):
        suggested = f"{BackgroundKind.COLOR}:{text}"
    elif any(preset.name == text for preset in presets):
        suggested = f"{BackgroundKind.PRESET}:{text}"
    elif near := find_nearest(word, BackgroundKind):
        suggested = f"{near[0]}{colon}{value}" if len(value) <= _MAX_SHOWN_CHARACTERS else near[0]
    return f"; did you mean {suggested}?" if suggested else ""


def _preset(name: str, presets: Iterable[Preset]) -> str:
    by_name = {preset.name: preset for preset in presets}
    try:
        find_preset(name, by_name.values())
    except KeyError:
        hint = did_you_mean(name, by_name, most=3)
        detail = f"{quote_value(name)} is not a preset that GET /v1/backgrounds lists{hint}"
        raise ValueError(detail) from None
    return name


def _keywords(text: str) -> str:
    """Return words separated by single commas; a worker decides which of them it knows."""
    words = [" ".join(word.split()) for word in text.split(",")]
    words = [word for word in words if word]
    if not 0 < len(words) <= MAX_KEYWORDS or max(map(len, words)) > MAX_KEYWORD_CHARACTERS:
        raise ValueError(
            f"{quote_value(text)} is not 1 to {MAX_KEYWORDS} words, separated by commas, of at "
            f"most {MAX_KEYWORD_CHARACTERS} characters; write, for example, keywords:rainbow,paper"
        )
    if not all(map(_is_keyword, words)):
        raise ValueError(
            f"{quote_value(text)} is not a list of words or colors; write, for example,"
            " keywords:rainbow,#ff8800"
        )
    return ",".join(words)


def _is_keyword(text: str) -> bool:
    words = text.replace("-", " ").split()
    return bool(words) and all(word.isalnum() or _COLOR_CODE.fullmatch(word) for word in words)


def _address(text: str, outbound: OutboundRules | None) -> str:
    """Return a URL unchanged; a worker checks again whether it may be fetched."""
    try:
        url = urls.parse(text)
    except ValueError as error:
        raise ValueError(f"the URL of the background {error}") from None
    fault = None if outbound is None else outbound.find_fault(url)
    if fault is not None:
        raise ValueError(f"the URL of the background {fault}")
    return text


def _strength(text: str) -> str:
    if not _DECIMAL.fullmatch(text) or not 0 <= float(text) <= 1:
        raise ValueError(f"{quote_value(text)} is not a blur strength from 0 to 1")
    return text
