"""Name, title, tags and moods of a picture: given, or read from its file's path."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from smart_filter_shared.errors import PictureRefused
from smart_filter_shared.presets import Mood
from smart_filter_shared.stock import MAX_NAME_CHARACTERS, NAME_PATTERN

MAX_TAGS: Final = 16
MAX_TAG_CHARACTERS: Final = 40
MAX_TITLE_CHARACTERS: Final = 100

_TAG_PATTERN: Final = 3
# Words of file names that do not describe the picture.
_STOP_WORDS: Final = frozenset(
    "and background backgrounds bild copy dsc dscn final foto for from image img kopie photo "
    "picture pxl the und with".split()
)


@dataclass(frozen=True, slots=True)
class GivenDescription:
    """The given description of a picture; a field that is None is derived."""

    name: str | None = None
    title: str | None = None
    tags: tuple[str, ...] | None = None
    moods: tuple[Mood, ...] | None = None


@dataclass(frozen=True, slots=True)
class Description:
    """The description of a picture; moods: None to derive them from its light and colors."""

    name: str
    title: str
    tags: tuple[str, ...]
    moods: tuple[Mood, ...] | None


def describe(path: str, given: GivenDescription) -> Description:
    """Return the description of the picture in a file.

    path: relative to the added folder, with slashes: `winter/Snow fort.jpg` is
    `winter-snow-fort`, titled `Snow fort`, tagged winter, snow and fort.
    Raises PictureRefused when a given word is invalid, or the path yields no name.
    """
    parts = PurePosixPath(path).with_suffix("").parts
    from_words = " ".join(parts[-1].replace("_", " ").replace("-", " ").split())
    read = extract_tags(parts) if given.tags is None else given.tags
    return Description(
        name=_name(parts) if given.name is None else check_name(given.name),
        title=_title(from_words[:MAX_TITLE_CHARACTERS] if given.title is None else given.title),
        tags=_tags(read),
        moods=given.moods,
    )


def check_name(name: str) -> str:
    """Return a given name.  Raises PictureRefused when it is not valid."""
    if len(name) > MAX_NAME_CHARACTERS or not NAME_PATTERN.fullmatch(name):
        raise PictureRefused(
            f"{name[:MAX_NAME_CHARACTERS]!r} cannot be a background's name; use at most "
            f"{MAX_NAME_CHARACTERS} letters a to z, digits, and single hyphens between them"
        )
    return name


def split_tags(text: str) -> tuple[str, ...]:
    """Return the tags of a comma-separated list."""
    return tuple(part for part in (piece.strip() for piece in text.split(",")) if part)


def parse_mood(word: str) -> Mood:
    """Return the mood of a word.  Raises PictureRefused, which lists the moods."""
    try:
        return Mood(word.strip().lower())
    except ValueError:
        raise PictureRefused(f"{word!r} is not a mood; there are {', '.join(Mood)}") from None


def parse_entry(entry: Mapping[str, object]) -> GivenDescription:
    """Return the description in an entry of a `backgrounds.toml`.  Raises PictureRefused."""
    unknown = sorted(set(entry) - {"name", "title", "tags", "moods"})
    if unknown:
        raise PictureRefused(f"unknown: {', '.join(unknown)}; known: name, title, tags, moods")
    moods = _read_list(entry, "moods")
    return GivenDescription(
        name=_text(entry, "name"),
        title=_text(entry, "title"),
        tags=_read_list(entry, "tags"),
        moods=None if moods is None else tuple(dict.fromkeys(map(parse_mood, moods))),
    )


def extract_tags(parts: Iterable[str]) -> tuple[str, ...]:
    """Return the words in names of folders and files that may describe the picture."""
    words = [word for part in parts for word in re.findall(r"[^\W_]+", part.lower())]
    tags = [
        word
        for word in dict.fromkeys(words)
        if word.isalpha() and len(word) >= _TAG_PATTERN and word not in _STOP_WORDS
    ]
    return tuple(word[:MAX_TAG_CHARACTERS] for word in tags[:MAX_TAGS])


def _name(parts: Iterable[str]) -> str:
    plain = unicodedata.normalize("NFKD", "-".join(parts).casefold())
    plain = "".join(character for character in plain if not unicodedata.combining(character))
    name = re.sub(r"[^a-z0-9]+", "-", plain)[:MAX_NAME_CHARACTERS].strip("-")
    if not name:
        raise PictureRefused("its path yields no name; give it one")
    return name


def _title(text: str) -> str:
    if not text or len(text) > MAX_TITLE_CHARACTERS or not text.isprintable():
        shown = text[:MAX_TITLE_CHARACTERS]
        raise PictureRefused(
            f"{shown!r} cannot be a title; use 1 to {MAX_TITLE_CHARACTERS} characters",
            field="title",
        )
    return text[0].upper() + text[1:]


def _tags(words: Iterable[str]) -> tuple[str, ...]:
    """Return tags in the form that keywords are compared in: lower case, hyphens for spaces."""
    tags = dict.fromkeys("-".join(re.findall(r"[^\W_]+", word.lower())) for word in words)
    if len(tags) > MAX_TAGS or not all(0 < len(tag) <= MAX_TAG_CHARACTERS for tag in tags):
        raise PictureRefused(
            f"tags: at most {MAX_TAGS}, each of 1 to {MAX_TAG_CHARACTERS} letters and digits",
            field="tags",
        )
    return tuple(tags)


def _text(entry: Mapping[str, object], key: str) -> str | None:
    value = entry.get(key)
    if value is not None and not isinstance(value, str):
        raise PictureRefused(f'{key} must be a string, such as {key} = "beach"')
    return value


def _read_list(entry: Mapping[str, object], key: str) -> tuple[str, ...] | None:
    value = entry.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise PictureRefused(f'{key} must be a list of strings, such as {key} = ["calm"]')
    return tuple(value)
