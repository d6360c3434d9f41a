"""Apply a tenant's default recipe fields to requests, and validate them when they are set.

Fields of the request take precedence over defaults. A `background`, `filters` or a task's `model`
in the request also drops all defaults about the same subject, and a default that contradicts the
request is dropped. Defaults are validated when they are set, by the same rules as any recipe.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping

from sqlalchemy import Connection

from smart_filter_api.intake import json_body
from smart_filter_shared import stock
from smart_filter_shared.catalog import emotions
from smart_filter_shared.errors import Contradiction, FieldError, InvalidRecipe
from smart_filter_shared.ids import Tenant
from smart_filter_shared.model_registry import published_models
from smart_filter_shared.presets import PRESETS
from smart_filter_shared.recipe import Recipe
from smart_filter_shared.recipe import fields as recipe_fields
from smart_filter_shared.recipe.fields import Fields
from smart_filter_shared.recipe.words import json_pointer
from smart_filter_shared.security.outbound_rules import OutboundRules

# Fields that cannot be defaults, and why.
_NOT_ALLOWED = {"run_at": "is a point in time and cannot be a default; omit it"}
# NUL as JSON writes it: an odd number of backslashes. An even number is text.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_HINT = " (this is one of your tenant's defaults; `GET /v1/tenants/NAME` lists them)"


def apply_defaults(
    defaults: Mapping[str, object],
    sent: Fields,
    read: Callable[[Fields], Recipe],
    *,
    with_background_file: bool = False,
) -> Recipe:
    """Merge defaults into the fields of a request and return the recipe.

    defaults: validated by `validate_defaults`.  sent: fields of the request.  read: parses fields.
    with_background_file: whether the request has a background file, which drops that default.
    Raises the errors of `read`; their details mention when a default is at fault.
    """
    replaced = {*sent, "background"} if with_background_file else {*sent}
    left = recipe_fields.drop_replaced(json_body.read_fields(defaults), replaced)
    while True:
        try:
            return read({**left, **sent})
        except Contradiction as error:
            giving_way = _defaults_at_fault(left, error)
            if not giving_way:
                raise
            for name in giving_way:
                del left[name]
        except InvalidRecipe as error:
            theirs = {json_pointer(name) for name in _defaults_at_fault(left, error)}
            raise type(error)(
                [
                    FieldError(
                        fault.pointer, fault.detail + (_HINT if fault.pointer in theirs else "")
                    )
                    for fault in error.errors
                ]
            ) from None


def validate_defaults(
    connection: Connection,
    tenant: Tenant,
    defaults: object,
    *,
    pools: Collection[str],
    outbound: OutboundRules | None,
    with_emotions: bool,
) -> None:
    """Check that fields are valid as a tenant's defaults.

    pools: capabilities that are declared to have workers.  outbound: as in `fields.parse`.
    with_emotions: whether the tenant allows models that read emotions.
    Raises InvalidRecipe and its subclasses, MalformedRequest.
    """
    if not _can_be_stored(defaults):
        raise InvalidRecipe([FieldError("", "contains NUL or lone surrogates; remove them")])
    published = published_models.list_models(connection, pools=pools)
    if not with_emotions:
        published = published_models.without_emotions(published, why=emotions.OFF_FOR_TENANT)
    fields = json_body.read_fields(defaults)
    never = [
        FieldError(json_pointer(name), why) for name, why in _NOT_ALLOWED.items() if name in fields
    ]
    if never:
        raise InvalidRecipe(never)
    recipe_fields.parse(
        fields,
        offered=published_models.list_offered(published),
        faults=published_models.list_faults(published),
        presets=[*PRESETS, *(picture.preset for picture in stock.list_usable(connection, tenant))],
        outbound=outbound,
    )


def _can_be_stored(defaults: object) -> bool:
    """Return whether PostgreSQL can store a document: jsonb holds no NUL and no lone surrogate."""
    written = json.dumps(defaults, ensure_ascii=False)
    try:
        written.encode()
    except UnicodeEncodeError:
        return False
    return _NUL.search(written) is None


def _defaults_at_fault(defaults: Fields, error: InvalidRecipe) -> list[str]:
    """Return the names of the defaults that an error points to."""
    pointers = {fault.pointer for fault in error.errors}
    return [name for name in defaults if json_pointer(name) in pointers]
