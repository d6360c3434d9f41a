"""What a tenant's recipes say that say nothing else: its defaults, below what a request says.

Name by name: what the request says counts. A `background`, a `filters` or a task's `model` of the
request puts aside all that the defaults say of the same, and a default that contradicts the request
gives way. Defaults are read when they are set, by the same rules as any recipe.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from sqlalchemy import Connection

from smart_filter_api import json_body
from smart_filter_shared import stock
from smart_filter_shared.errors import Contradiction, FieldError, InvalidRecipe
from smart_filter_shared.ids import Tenant
from smart_filter_shared.jobs import models
from smart_filter_shared.presets import PRESETS
from smart_filter_shared.recipe import Recipe
from smart_filter_shared.recipe import fields as recipe_fields
from smart_filter_shared.recipe.words import pointer

# A recipe as a form holds it: for each name its values in order.
Fields = Mapping[str, Sequence[str]]
# Moments pass, and nobody's default holds a file.
_NEVER = {"run_at": "is a moment, which no default can be; leave it out"}
_FILTERS = "filters"
_MODEL = ".model"
_HINT = " (a default of yours: `GET /v1/tenants/NAME` shows them)"


def parse(
    defaults: Mapping[str, object],
    sent: Fields,
    read: Callable[[Fields], Recipe],
    *,
    with_background_file: bool = False,
) -> Recipe:
    """Return the recipe that a request means.

    defaults: as `check` let them pass.  sent: what the request says.  read: reads a form.
    with_background_file: whether a background came along, which is what is meant then.
    Raises what `read` does; of a default that is at fault its complaint says so.
    """
    left = dict(
        _left_over(json_body.as_form(defaults), sent, with_background_file=with_background_file)
    )
    while True:
        try:
            return read({**left, **sent})
        except Contradiction as error:
            giving_way = _named(left, error)
            if not giving_way:
                raise
            for name in giving_way:
                del left[name]
        except InvalidRecipe as error:
            theirs = {pointer(name) for name in _named(left, error)}
            raise type(error)(
                [
                    FieldError(one.pointer, one.detail + (_HINT if one.pointer in theirs else ""))
                    for one in error.errors
                ]
            ) from None


def check(
    connection: Connection, tenant: Tenant, defaults: object, *, pools: Collection[str]
) -> None:
    """See to it that a tenant's recipe may say so.

    pools: capabilities that are declared to have workers.
    Raises InvalidRecipe and its kinds, MalformedRequest.
    """
    if not _can_be_stored(defaults):
        raise InvalidRecipe([FieldError("", "holds NUL or halves of characters; leave them out")])
    known = models.published(connection, pools=pools)
    fields = json_body.as_form(defaults)
    never = [FieldError(pointer(name), why) for name, why in _NEVER.items() if name in fields]
    if never:
        raise InvalidRecipe(never)
    recipe_fields.parse(
        fields,
        offered=models.offered(known),
        faults=models.faults(known),
        presets=[*PRESETS, *(picture.preset for picture in stock.seen_by(connection, tenant))],
    )


def _left_over(
    defaults: Fields, sent: Fields, *, with_background_file: bool
) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield those defaults that the request says nothing of."""
    for name, texts in defaults.items():
        task = name.partition(".")[0]
        is_put_aside = (
            name in sent
            or (name == "background" and with_background_file)
            or (task == _FILTERS and _FILTERS in sent)
            or task + _MODEL in sent
        )
        if not is_put_aside:
            yield name, texts


def _can_be_stored(defaults: object) -> bool:
    try:
        return b"\\u0000" not in json.dumps(defaults, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False


def _named(defaults: Fields, error: InvalidRecipe) -> list[str]:
    """Return the defaults that an error complains of."""
    pointers = {one.pointer for one in error.errors}
    return [name for name in defaults if pointer(name) in pointers]
