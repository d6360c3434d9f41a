"""What stands behind the people, read from the words of a recipe."""

import difflib
import re
from collections.abc import Iterable

from smart_filter_shared import web_address
from smart_filter_shared.presets import PRESETS, Preset, named
from smart_filter_shared.recipe.recipe import Background, BackgroundKind
from smart_filter_shared.recipe.words import is_colour, shown

# Of what is compared with the names that there are; no name is as long.
MAX_NAME_CHARACTERS = 200
MAX_KEYWORDS = 12
MAX_KEYWORD_CHARACTERS = 40

_COLOUR_CODE = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6})", re.IGNORECASE)
_DECIMAL = re.compile(r"[0-9]{0,3}(\.[0-9]{1,9})?(?<=[0-9])")


def read(text: str, presets: Iterable[Preset] = PRESETS) -> Background:
    """Return the background that a recipe asks for.

    presets: those that whoever asks may name.
    Raises ValueError, which says what would be right.
    """
    word, colon, value = text.partition(":")
    value = value.strip()
    if word not in set(BackgroundKind):
        kinds = (
            "auto, keep, transparent, color:CSS-COLOUR, preset:NAME, keywords:WORD,WORD, "
            "blur:0..1, file or url:https://HOST/PATH"
        )
        raise ValueError(f"{shown(text)} is not a background; use {kinds}")
    kind = BackgroundKind(word)
    if kind == BackgroundKind.COLOR:
        if not is_colour(value):
            raise ValueError(f"{shown(value)} is not a CSS colour; write color:#ff8800 or alike")
        return Background(kind, value)
    if kind == BackgroundKind.PRESET:
        return Background(kind, _preset(value, presets))
    if kind == BackgroundKind.KEYWORDS:
        return Background(kind, _keywords(value))
    if kind == BackgroundKind.BLUR:
        return Background(kind, _strength(value))
    if kind == BackgroundKind.URL:
        return Background(kind, _address(value))
    if colon:
        raise ValueError(f"{kind} takes no value; write {kind} alone")
    return Background(kind)


def _preset(name: str, presets: Iterable[Preset]) -> str:
    known = {preset.name: preset for preset in presets}
    try:
        named(name, known.values())
    except KeyError:
        near = difflib.get_close_matches(name[:MAX_NAME_CHARACTERS], known, n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        detail = f"{shown(name)} is not a preset that GET /v1/backgrounds lists{hint}"
        raise ValueError(detail) from None
    return name


def _keywords(text: str) -> str:
    """Return words parted by single commas; a worker says which of them it knows."""
    words = [" ".join(word.split()) for word in text.split(",")]
    words = [word for word in words if word]
    if not 0 < len(words) <= MAX_KEYWORDS or max(map(len, words)) > MAX_KEYWORD_CHARACTERS:
        raise ValueError(
            f"{shown(text)} is not 1 to {MAX_KEYWORDS} words, parted by commas, of at most "
            f"{MAX_KEYWORD_CHARACTERS} characters; write keywords:rainbow,paper or alike"
        )
    if not all(map(_is_keyword, words)):
        raise ValueError(
            f"{shown(text)} is not words or colours; write keywords:rainbow,#ff8800 or alike"
        )
    return ",".join(words)


def _is_keyword(text: str) -> bool:
    words = text.replace("-", " ").split()
    return bool(words) and all(one.isalnum() or _COLOUR_CODE.fullmatch(one) for one in words)


def _address(text: str) -> str:
    """Return an address as it was written; whether it may be asked, a worker finds out."""
    try:
        web_address.read(text)
    except ValueError as error:
        raise ValueError(f"the address of the background {error}") from None
    return text


def _strength(text: str) -> str:
    if not _DECIMAL.fullmatch(text) or not 0 <= float(text) <= 1:
        raise ValueError(f"{shown(text)} is not a strength of blur from 0 to 1")
    return text
