"""What a picture is called and tagged with: told by somebody, or read from its file's path."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from smart_filter_shared.errors import PictureRefused
from smart_filter_shared.presets import Mood
from smart_filter_shared.stock import MAX_NAME_CHARACTERS, NAME

MAX_TAGS: Final = 16
MAX_TAG_CHARACTERS: Final = 40
MAX_TITLE_CHARACTERS: Final = 100

_LETTERS_OF_A_TAG: Final = 3
# Words of file names that say nothing of what is to be seen.
_SAYING_NOTHING: Final = frozenset(
    "and background backgrounds bild copy dsc dscn final foto for from image img kopie photo "
    "picture pxl the und with".split()
)


@dataclass(frozen=True, slots=True)
class Words:
    """What somebody tells of a picture; what is None is found out."""

    name: str | None = None
    title: str | None = None
    tags: tuple[str, ...] | None = None
    moods: tuple[Mood, ...] | None = None


@dataclass(frozen=True, slots=True)
class Called:
    """What a picture is called; moods: None when its light and colours are to tell."""

    name: str
    title: str
    tags: tuple[str, ...]
    moods: tuple[Mood, ...] | None


def called(path: str, told: Words) -> Called:
    """Return what the picture of a file is called.

    path: relative to what was added, parts parted by slashes: `winter/Snow fort.jpg` is
    `winter-snow-fort`, titled `Snow fort`, tagged winter, snow and fort.
    Raises PictureRefused when a word is not one, or no name can be made of the path.
    """
    parts = PurePosixPath(path).with_suffix("").parts
    read = tags_in(parts) if told.tags is None else told.tags
    words = parts[-1].replace("_", " ").replace("-", " ").split()
    return Called(
        name=_name(parts) if told.name is None else checked_name(told.name),
        title=_title(" ".join(words)) if told.title is None else _title(told.title),
        tags=_tags(read),
        moods=told.moods,
    )


def checked_name(name: str) -> str:
    """Return a name that somebody chose.  Raises PictureRefused when it cannot be one."""
    if len(name) > MAX_NAME_CHARACTERS or not NAME.fullmatch(name):
        raise PictureRefused(
            f"{name[:MAX_NAME_CHARACTERS]!r} cannot be a background's name; use at most "
            f"{MAX_NAME_CHARACTERS} letters a to z, digits, and single hyphens between them"
        )
    return name


def split_tags(text: str) -> tuple[str, ...]:
    """Return tags that somebody lists with commas."""
    return tuple(part for part in (one.strip() for one in text.split(",")) if part)


def mood_of(word: str) -> Mood:
    """Return the mood of a word.  Raises PictureRefused, with what there is."""
    try:
        return Mood(word.strip().lower())
    except ValueError:
        raise PictureRefused(f"{word!r} is no mood; there are {', '.join(Mood)}") from None


def told_by(entry: Mapping[str, object]) -> Words:
    """Return what an entry of a `backgrounds.toml` tells.  Raises PictureRefused."""
    unknown = sorted(set(entry) - {"name", "title", "tags", "moods"})
    if unknown:
        raise PictureRefused(f"{', '.join(unknown)}: there are name, title, tags and moods")
    moods = _listed(entry, "moods")
    return Words(
        name=_text(entry, "name"),
        title=_text(entry, "title"),
        tags=_listed(entry, "tags"),
        moods=None if moods is None else tuple(dict.fromkeys(map(mood_of, moods))),
    )


def tags_in(parts: Iterable[str]) -> tuple[str, ...]:
    """Return the words of folders' and files' names that may say what is to be seen."""
    words = [word for part in parts for word in re.findall(r"[^\W_]+", part.lower())]
    said = [
        word
        for word in dict.fromkeys(words)
        if word.isalpha() and len(word) >= _LETTERS_OF_A_TAG and word not in _SAYING_NOTHING
    ]
    return tuple(word[:MAX_TAG_CHARACTERS] for word in said[:MAX_TAGS])


def _name(parts: Iterable[str]) -> str:
    plain = unicodedata.normalize("NFKD", "-".join(parts).casefold())
    plain = "".join(one for one in plain if not unicodedata.combining(one))
    name = re.sub(r"[^a-z0-9]+", "-", plain)[:MAX_NAME_CHARACTERS].strip("-")
    if not name:
        raise PictureRefused("no name can be made of this; give it one")
    return name


def _title(text: str) -> str:
    if not text or len(text) > MAX_TITLE_CHARACTERS or not text.isprintable():
        shown = text[:MAX_TITLE_CHARACTERS]
        raise PictureRefused(
            f"{shown!r} cannot be a title; use 1 to {MAX_TITLE_CHARACTERS} characters"
        )
    return text[0].upper() + text[1:]


def _tags(words: Iterable[str]) -> tuple[str, ...]:
    """Return tags as keywords are compared with them: small letters, hyphens for spaces."""
    tags = dict.fromkeys("-".join(re.findall(r"[^\W_]+", word.lower())) for word in words)
    if len(tags) > MAX_TAGS or not all(0 < len(tag) <= MAX_TAG_CHARACTERS for tag in tags):
        raise PictureRefused(
            f"at most {MAX_TAGS} tags of 1 to {MAX_TAG_CHARACTERS} letters and digits are kept"
        )
    return tuple(tags)


def _text(entry: Mapping[str, object], key: str) -> str | None:
    value = entry.get(key)
    if value is not None and not isinstance(value, str):
        raise PictureRefused(f'{key} is a text, such as {key} = "beach"')
    return value


def _listed(entry: Mapping[str, object], key: str) -> tuple[str, ...] | None:
    value = entry.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise PictureRefused(f'{key} is a list of texts, such as {key} = ["calm"]')
    return tuple(value)
