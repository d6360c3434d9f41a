"""What a derived job has other than its parent, as it is sent: a document, or a form with a file.

A form is for a background that is sent along; else it says what the document says.
"""

import json
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import ExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from fastapi import Request
from python_multipart.multipart import parse_options_header

from smart_filter_api import documents, intake, json_body, multipart
from smart_filter_api.intake import Spooled
from smart_filter_api.multipart import BACKGROUND, PICTURES
from smart_filter_api.schemas.deriving import DeriveRequest

_FORM: Final = b"multipart/form-data"
# The fields of a form that belong to no recipe.
_OWN: Final = ("correction_id", "webhook_url")


@dataclass(frozen=True, slots=True)
class Changes:
    """What is asked for.

    given: fields of the recipe, in place of the parent's.  named: all names that are not to be
    as the parent has them: those of `given`, and those that are to be as if nothing were said.
    background: a picture to stand behind the people; its file is gone when `received` ends.
    """

    given: Mapping[str, list[str]]
    named: Collection[str]
    background: Spooled | None
    correction_id: str | None
    webhook_url: str | None


@dataclass(frozen=True, slots=True)
class Sent:
    """A body that is here.

    fingerprint: what tells it from any other.  read: returns what it asks for.  Raises
    MalformedRequest, InvalidRequest, InvalidRecipe.
    """

    fingerprint: bytes
    read: Callable[[], Changes]


@asynccontextmanager
async def received(request: Request) -> AsyncIterator[Sent]:
    """Take the body of a request; whatever ends the block, nothing of it is left behind.

    Raises MalformedRequest, PhotoTooLarge, UnsupportedMedia.
    """
    content_type = request.headers.get("content-type")
    if parse_options_header(content_type)[0] != _FORM:
        body = await documents.read(request)
        yield Sent(body, partial(_of_document, body))
        return
    intake.refuse_coded(request)
    called = {BACKGROUND: PICTURES[BACKGROUND]}
    form = multipart.Form(content_type, called)
    with ExitStack() as open_files:
        spool = None
        async with aclosing(form.pieces(intake.arriving(request))) as pieces:
            async for _, piece in pieces:
                spool = spool or intake.spool(open_files)
                await spool.take(piece)
        picture = None if spool is None else await spool.judged(called[BACKGROUND], BACKGROUND)
        digest = None if picture is None else picture.digest
        fingerprint = json.dumps([digest, sorted(form.fields.items())]).encode()
        yield Sent(fingerprint, partial(_of_form, form.fields, picture))


def _of_document(body: bytes) -> Changes:
    asked = documents.parse(DeriveRequest, body)
    recipe = asked.recipe or {}
    given = json_body.as_form(recipe)
    named = {*given, *json_body.named_in(recipe)}
    return Changes(given, named, None, asked.correction_id, asked.webhook_url)


def _of_form(fields: Mapping[str, list[str]], background: Spooled | None) -> Changes:
    # What stands there more than once is told to be no text.
    own = {name: fields[name] for name in _OWN if name in fields}
    single = {name: texts[0] if len(texts) == 1 else texts for name, texts in own.items()}
    asked = documents.parse(DeriveRequest, json.dumps(single).encode())
    given = {name: texts for name, texts in fields.items() if name not in own}
    # A picture that is sent is asked for, whatever stands behind the parent's people.
    named = {*given, *(() if background is None else ("background",))}
    return Changes(given, named, background, asked.correction_id, asked.webhook_url)
