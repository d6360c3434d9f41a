"""The JSON body of a batch: items, each a photo and what differs for it; and what holds for all.

As for a single photo, photos' texts are cut out of the body before anything is parsed.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from smart_filter_api import json_body, json_text
from smart_filter_api.multipart import (
    MAX_PARTS,
    MAX_PHOTO_BYTES,
    PHOTO_URL,
    UPLOAD_ID,
    WEBHOOK_URL,
)
from smart_filter_shared.errors import (
    FieldError,
    InvalidRecipe,
    InvalidRequest,
    MalformedRequest,
    PhotoTooLarge,
    Rejected,
)
from smart_filter_shared.jobs.batches import MOST_ITEMS
from smart_filter_shared.recipe import Output
from smart_filter_shared.recipe.words import pointer

# A thousand items, each with an address or a recipe of its own.
MAX_OTHER_BYTES: Final = 4_000_000
# All photos together are bounded as one is.
MAX_BODY_BYTES: Final = -(-MAX_PHOTO_BYTES // 3) * 4 + MAX_OTHER_BYTES

_PHOTO: Final = "photo_base64"
_SOURCES: Final = (_PHOTO, PHOTO_URL, UPLOAD_ID)
_NAMES: Final = ("items", "recipe", "album", WEBHOOK_URL)
_ITEM_NAMES: Final = (*_SOURCES, "recipe", "metadata")
_METADATA: Final = "metadata."
_OUTPUTS: Final = "outputs"
# Base64 holds no quote, and within another text these would be escaped.
_PHOTO_TEXT: Final = re.compile(rb'("photo_base64"[ \t\r\n]*:[ \t\r\n]*")([^"]*)"')
# What stands in the place of a photo's text: where it was cut out.
_MARK: Final = re.compile(r"#([0-9]{1,7})")

Fields = Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class SentItem:
    """A photo, and its recipe as a form would have it: what holds for all, and its own.

    photo: its bytes; None when photo_url or upload_id, as they were sent, stand for it.
    """

    photo: bytes | None
    fields: Fields
    photo_url: str | None = None
    upload_id: str | None = None


@dataclass(frozen=True, slots=True)
class SentBatch:
    """What a body holds; an item that cannot be read is why.

    best: of an album, how many are composed.  webhook_url: as it was sent.
    """

    items: Sequence[SentItem | Rejected]
    best: int | None
    webhook_url: str | None


def read(body: bytes) -> SentBatch:
    """Take a body apart.

    Raises MalformedRequest when it is no such document, PhotoTooLarge for all of it, InvalidRequest
    and InvalidRecipe for what holds for all items; what is wrong with one stands in its place.
    """
    photos: list[tuple[int, int]] = []

    def cut(found: re.Match[bytes]) -> bytes:
        photos.append(found.span(2))
        return b'%b#%d"' % (found[1], len(photos) - 1)

    rest = _PHOTO_TEXT.sub(cut, body)
    if len(rest) > MAX_OTHER_BYTES:
        raise PhotoTooLarge(
            f"the body is too large; around its photos it holds at most {MAX_OTHER_BYTES} bytes"
        )
    document = json_text.read_object(rest)
    _refuse_others(document, _NAMES, InvalidRequest)
    items = document.get("items")
    if not isinstance(items, list) or not 0 < len(items) <= MOST_ITEMS:
        raise InvalidRequest(
            [FieldError("/items", f"is not a list of 1 to {MOST_ITEMS} photos and their recipes")]
        )
    common = json_body.as_form(document.get("recipe"))
    webhook_url = document.get(WEBHOOK_URL)
    if webhook_url is not None and not isinstance(webhook_url, str):
        raise InvalidRequest([FieldError(pointer(WEBHOOK_URL), "is not a text")])
    best = _best(document.get("album"))
    texts = [memoryview(body)[start:end] for start, end in photos]
    return SentBatch(
        [_item(one, texts, common, is_ranked=best is not None) for one in items], best, webhook_url
    )


def _best(album: object) -> int | None:
    if album is None:
        return None
    unknown = (
        [name for name in album if name != "best"][:MAX_PARTS] if isinstance(album, dict) else []
    )
    if unknown:
        raise InvalidRequest(
            [FieldError("/album" + pointer(name), "is not best") for name in unknown]
        )
    best = album.get("best") if isinstance(album, dict) else None
    if isinstance(best, bool) or not isinstance(best, int) or not 0 <= best <= MOST_ITEMS:
        raise InvalidRequest(
            [FieldError("/album/best", f"is not how many to compose, 0 to {MOST_ITEMS}")]
        )
    return best


def _item(
    item: object, texts: Sequence[memoryview], common: Fields, *, is_ranked: bool
) -> SentItem | Rejected:
    try:
        if not isinstance(item, dict):
            raise MalformedRequest('the item is not an object such as {"photo_base64": …}')
        _refuse_others(item, _ITEM_NAMES, InvalidRecipe)
        given = [name for name in _SOURCES if item.get(name) is not None]
        if len(given) != 1:
            raise MalformedRequest(f"send exactly one of {', '.join(_SOURCES)}")
        fields = _merged(common, json_body.as_form(item.get("recipe")))
        fields |= _metadata(item.get("metadata"))
        fields = _rated(fields) if is_ranked else fields
        if given == [_PHOTO]:
            return SentItem(_photo(item[_PHOTO], texts), fields)
        if not isinstance(item[given[0]], str):
            raise InvalidRecipe([FieldError(pointer(given[0]), "is not a text")])
        return SentItem(None, fields, item.get(PHOTO_URL), item.get(UPLOAD_ID))
    except Rejected as error:
        return error


def _photo(mark: object, texts: Sequence[memoryview]) -> bytes:
    found = _MARK.fullmatch(mark) if isinstance(mark, str) else None
    if found is None or int(found[1]) >= len(texts):
        raise MalformedRequest(f"{_PHOTO} is not a text of base64", pointer=pointer(_PHOTO))
    return json_body.decoded(bytes(texts[int(found[1])]))


def _merged(common: Fields, own: Fields) -> dict[str, list[str]]:
    """Return fields in which an item's own stand in place of those for all.

    With a model, or filters, of its own, what was set for those of all does not hold.
    """
    replaced = tuple(
        f"{name.removesuffix('.model')}.params." for name in own if name.endswith(".model")
    )
    if "filters" in own:
        replaced += ("filters.",)
    kept = {name: texts for name, texts in common.items() if not name.startswith(replaced or "\0")}
    return {**kept, **own}


def _metadata(metadata: object) -> dict[str, list[str]]:
    if metadata is None:
        return {}
    if not isinstance(metadata, dict):
        raise InvalidRecipe([FieldError("/metadata", "is not an object of names and texts")])
    fields = json_body.as_form({"metadata": metadata})
    return {name: texts for name, texts in fields.items() if name.startswith(_METADATA)}


def _rated(fields: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the fields of a photo that is ranked: its rating is asked for in any case."""
    outputs = fields.get(_OUTPUTS, [str(Output.IMAGE)])
    if any(str(Output.RATING) in text.split(",") for text in outputs):
        return fields
    return {**fields, _OUTPUTS: [*outputs, str(Output.RATING)]}


def _refuse_others(
    document: Mapping[str, Any], names: Sequence[str], kind: type[InvalidRecipe]
) -> None:
    unknown = [name for name in document if name not in names][:MAX_PARTS]
    if unknown:
        raise kind(
            [FieldError(pointer(name), f"is none of {', '.join(names)}") for name in unknown]
        )
