"""Receive the request for a derived job: a JSON document, or a form with a background file.

Both have the same fields; only a form can hold a file.
"""

import json
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from fastapi import Request
from python_multipart.multipart import parse_options_header

from smart_filter_api.intake import body as intake_body
from smart_filter_api.intake import json_body, json_document, multipart
from smart_filter_api.intake.body import JSON, MULTIPART, SpooledPicture
from smart_filter_api.intake.multipart import BACKGROUND, PICTURES
from smart_filter_api.schemas.deriving import DeriveRequest
from smart_filter_shared.recipe.fields import Fields, respell_names

# Fields of a form that are not part of the recipe.
_NON_RECIPE_FIELDS: Final = ("correction_id", "webhook_url")


@dataclass(frozen=True, slots=True)
class DeriveRecipe:
    """The changes to the parent's recipe.

    given: recipe fields that replace the parent's.  names: all changed fields, also
    fields that return to their defaults.
    background: the background picture; its file is closed when `receive_derive_request` ends.
    faces: of a take, the item that each person's face is to be from.
    """

    given: Fields
    names: Collection[str]
    background: SpooledPicture | None
    correction_id: str | None
    webhook_url: str | None
    faces: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeriveBody:
    """A received body.

    fingerprint: bytes that are equal only for identical bodies.  read: parses the body; it raises
    MalformedRequest, InvalidRequest, InvalidRecipe.
    """

    fingerprint: bytes
    read: Callable[[], DeriveRecipe]


@asynccontextmanager
async def receive_derive_request(request: Request) -> AsyncIterator[DeriveBody]:
    """Receive the body of a request; its files are deleted when the block ends.

    Raises MalformedRequest, PhotoTooLarge, UnsupportedMedia.
    """
    content_type = request.headers.get("content-type")
    sent_as = parse_options_header(content_type)[0].decode("latin-1")
    if sent_as not in {MULTIPART, JSON}:
        raise intake_body.unsupported_type(content_type, (JSON, MULTIPART))
    if sent_as == JSON:
        body = await json_document.read_body(request)
        yield DeriveBody(body, partial(_parse_document, body))
        return
    intake_body.refuse_compressed(request)
    called = {BACKGROUND: PICTURES[BACKGROUND]}
    form = multipart.Form(content_type, called)
    with ExitStack() as open_files:
        spool = (await intake_body.spool_pictures(request, form, open_files)).get(BACKGROUND)
        picture = None if spool is None else await spool.judged(called[BACKGROUND], BACKGROUND)
        digest = None if picture is None else picture.digest
        fingerprint = json.dumps([digest, sorted(form.fields.items())]).encode()
        parse = partial(_parse_form, form.fields, picture)
        yield DeriveBody(fingerprint, parse)


def _parse_document(body: bytes) -> DeriveRecipe:
    asked = json_document.parse_document(DeriveRequest, body)
    recipe = asked.recipe or {}
    given = json_body.read_fields(recipe)
    names = {*given, *json_body.list_names(recipe)}
    faces = {int(person): item for person, item in (asked.faces or {}).items()}
    return DeriveRecipe(given, names, None, asked.correction_id, asked.webhook_url, faces)


def _parse_form(fields: Mapping[str, list[str]], background: SpooledPicture | None) -> DeriveRecipe:
    # A repeated field becomes a list, which the model rejects as not being a string.
    settings = {name: fields[name] for name in _NON_RECIPE_FIELDS if name in fields}
    single = {name: texts[0] if len(texts) == 1 else texts for name, texts in settings.items()}
    asked = json_document.parse_document(DeriveRequest, json.dumps(single).encode())
    given = respell_names({name: texts for name, texts in fields.items() if name not in settings})
    intake_body.refuse_misspelled_names(given, (BACKGROUND, *_NON_RECIPE_FIELDS))
    # A submitted file replaces the parent's background.
    names = {*given, *(() if background is None else ("background",))}
    return DeriveRecipe(given, names, background, asked.correction_id, asked.webhook_url)
