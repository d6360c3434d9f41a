"""The YAML file of `recipes export` and `recipes import`: recipes, and pictures that they name."""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from smart_filter_shared import stock
from smart_filter_shared.artifacts.backends import Backends
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import ObjectTooLarge, PictureRefused
from smart_filter_shared.ids import Tenant
from smart_filter_shared.stock import descriptions
from smart_filter_shared.stock.descriptions import Description, GivenDescription
from smart_filter_shared.tenants.saved_recipes import MAX_RECIPES
from smart_filter_workers import plain_yaml

_VERSION: Final = 1
# Bytes of one embedded picture, and of a file: its text is parsed in memory.
MAX_PICTURE_BYTES: Final = 5_000_000
MAX_FILE_BYTES: Final = 40_000_000
_MAX_PICTURES: Final = 100
_OWN: Final = "tenant/"
_PARTS: Final = ("version", "recipes", "pictures")


@dataclass(frozen=True, slots=True)
class EmbeddedPicture:
    """A picture in a file: its bytes, and whether it is a logo."""

    content: bytes
    title: str | None = None
    is_logo: bool = False


@dataclass(frozen=True, slots=True)
class RecipeFile:
    """The content of a file: recipe fields by name, and pictures by names such as `tenant/wall`."""

    recipes: Mapping[str, Mapping[str, object]]
    pictures: Mapping[str, EmbeddedPicture] = field(default_factory=dict)


def write_yaml(content: RecipeFile) -> str:
    """Return the text of a file.  Raises PictureRefused when it would be too large to import."""
    document: dict[str, object] = {
        "version": _VERSION,
        "recipes": {name: dict(fields) for name, fields in content.recipes.items()},
    }
    if content.pictures:
        document["pictures"] = {
            name: {
                "logo": picture.is_logo,
                **({"title": picture.title} if picture.title else {}),
                "base64": base64.b64encode(picture.content).decode(),
            }
            for name, picture in content.pictures.items()
        }
    text = "# Saved recipes: smart-filter recipes import FILE\n" + yaml.safe_dump(
        document, allow_unicode=True, sort_keys=False, width=2**31
    )
    if len(text.encode()) > MAX_FILE_BYTES:
        raise PictureRefused(
            f"the file would have more than {MAX_FILE_BYTES} bytes: export fewer recipes at a time"
        )
    return text


def read_yaml(path: Path) -> RecipeFile:
    """Return the content of a file.  Raises ValueError, which says what is wrong, and OSError."""
    with path.open("rb") as file:
        content = file.read(MAX_FILE_BYTES + 1)
    try:
        document = plain_yaml.load(content, most_bytes=MAX_FILE_BYTES)
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = "" if place is None else f" in line {place.line + 1}"
        raise ValueError(f"is not YAML{where}") from error
    if not isinstance(document, dict) or document.get("version") != _VERSION:
        raise ValueError(f"is not a file of recipes: `version: {_VERSION}` is missing")
    unknown = ", ".join(str(name) for name in document if name not in _PARTS)
    if unknown:
        raise ValueError(f"has {unknown}, which is none of {', '.join(_PARTS)}")
    recipes = _mapping(document, "recipes", most=MAX_RECIPES)
    pictures = _mapping(document, "pictures", most=_MAX_PICTURES)
    return RecipeFile(
        {name: _entry(name, fields) for name, fields in recipes.items()},
        {name: _picture(name, _entry(name, entry)) for name, entry in pictures.items()},
    )


def read_pictures(
    servers: Backends, tenant: Tenant, recipes: Iterable[Mapping[str, object]]
) -> dict[str, EmbeddedPicture]:
    """Return the tenant's own pictures that recipes name, with their bytes.

    Raises PictureRefused for one that is gone, or too large to be embedded.
    """
    names = sorted({name for fields in recipes for name in _own_pictures(fields)})
    with sessions.transaction(servers.engine) as connection:
        owned = {
            entry.picture.preset.name: entry.picture
            for entry in stock.list_owned(connection, tenant)
        }
    pictures = {}
    for name in names:
        if name not in owned:
            raise PictureRefused(f"tenant {tenant} has no picture {name}")
        try:
            content = servers.store.get(owned[name].key, most=MAX_PICTURE_BYTES)
        except ObjectTooLarge as error:
            raise PictureRefused(
                f"{name} has more than {MAX_PICTURE_BYTES} bytes, so it cannot be embedded:"
                " export without --pictures"
            ) from error
        picture = owned[name]
        pictures[name] = EmbeddedPicture(content, picture.title, picture.is_logo)
    return pictures


def describe_embedded(name: str, picture: EmbeddedPicture) -> Description:
    """Return the description of a picture of a file.  Raises PictureRefused."""
    short = descriptions.check_name(name.removeprefix(_OWN))
    return descriptions.describe(short, GivenDescription(name=short, title=picture.title))


def _own_pictures(fields: Mapping[str, object]) -> list[str]:
    background = str(fields.get("background", "")).removeprefix("preset:").partition("+")[0]
    names = (background.strip(), str(fields.get("logo", "")))
    return [name for name in names if name.startswith(_OWN)]


def _mapping(document: Mapping[str, Any], name: str, *, most: int) -> Mapping[str, object]:
    value = _object(name, document.get(name) or {}, "a list of names with their content")
    if len(value) > most:
        raise ValueError(f"{name} has {len(value)} entries; at most {most} are allowed")
    return value


def _entry(name: str, content: object) -> Mapping[str, Any]:
    entry = _object(name, content, "an object of fields")
    try:
        json.dumps(entry, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} holds a value that is no JSON: put it in quotes") from error
    return entry


def _object(name: str, value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} is not {what}")  # noqa: TRY004 - a fault of the file
    if odd := [key for key in value if not isinstance(key, str)]:
        raise ValueError(f"{name} has the name {odd[0]}, which is no text: put it in quotes")
    return value


def _picture(name: str, entry: Mapping[str, Any]) -> EmbeddedPicture:
    text, title, is_logo = entry.get("base64"), entry.get("title"), entry.get("logo", False)
    is_described = isinstance(title, str | None) and isinstance(is_logo, bool)
    if not (isinstance(text, str) and is_described and name.startswith(_OWN)):
        raise ValueError(
            f"{name} is not a picture: a name that begins with {_OWN}, base64, title and logo"
        )
    if len(text) > MAX_PICTURE_BYTES * 2:
        raise ValueError(f"{name} has more than {MAX_PICTURE_BYTES} bytes")
    try:
        content = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"{name}: its base64 is damaged") from error
    if len(content) > MAX_PICTURE_BYTES:
        raise ValueError(f"{name} has more than {MAX_PICTURE_BYTES} bytes")
    return EmbeddedPicture(content, title, is_logo)
