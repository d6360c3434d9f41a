"""Merge the fields of requests, saved recipes and a tenant's defaults, and validate stored fields.

Fields of the request take precedence over saved recipes, and those over defaults. A `background`,
`filters` or a task's `model` of a layer also drops all weaker fields about the same subject, and a
field that contradicts a stronger layer is dropped. Stored fields are validated when they are set,
by the same rules as any recipe.
"""

import contextlib
import json
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

from sqlalchemy import Connection

from smart_filter_api.caches import RecipeLayer
from smart_filter_api.intake import json_body
from smart_filter_shared import stock
from smart_filter_shared.catalog import emotions
from smart_filter_shared.catalog.scalars import Value
from smart_filter_shared.errors import Contradiction, FieldError, InvalidRecipe
from smart_filter_shared.ids import Tenant
from smart_filter_shared.model_registry import published_models
from smart_filter_shared.presets import PRESETS
from smart_filter_shared.recipe import BackgroundKind, Recipe
from smart_filter_shared.recipe import fields as recipe_fields
from smart_filter_shared.recipe.fields import Fields
from smart_filter_shared.recipe.words import json_pointer
from smart_filter_shared.security.outbound_rules import OutboundRules

# The field that names saved recipes.
RECIPE: Final = "recipe"
# Fields that cannot be stored for later requests, and why.
_NOT_ALLOWED = {
    "run_at": "is a point in time; omit it",
    RECIPE: "names a saved recipe, which stored fields cannot: write its fields here",
}
_NO_FILE = (
    "is a file, which is sent with a photo: add the picture with `smart-filter backgrounds add`, "
    "and name it with preset:tenant/NAME"
)
# NUL as JSON writes it: an odd number of backslashes. An even number is text.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def merge_layers(
    layers: Sequence[RecipeLayer],
    sent: Fields,
    read: Callable[[Fields], Recipe],
    *,
    with_background_file: bool = False,
) -> Recipe:
    """Merge layers into the fields of a request and return the recipe.

    layers: the weakest first.  sent: fields of the request.  read: parses fields.
    with_background_file: whether the request has a background file, which drops other backgrounds.
    Raises the errors of `read`; their details mention when a layer is at fault.
    """
    replaced = {*sent, "background"} if with_background_file else {*sent}
    left: dict[str, Value] = {}
    hints: dict[str, str] = {}
    for layer in layers:
        fields = recipe_fields.drop_replaced(json_body.read_fields(layer.fields), replaced)
        left = {**recipe_fields.drop_replaced(left, fields), **fields}
        hints |= dict.fromkeys(fields, layer.hint)
    strength = [layer.hint for layer in layers]
    while True:
        try:
            return read({**left, **sent})
        except Contradiction as error:
            at_fault = _fields_at_fault(left, error)
            if not at_fault:
                raise
            weakest = min(strength.index(hints[name]) for name in at_fault)
            for name in at_fault:
                if hints[name] == strength[weakest]:
                    del left[name]
        except InvalidRecipe as error:
            ours = {json_pointer(name): hints[name] for name in _fields_at_fault(left, error)}
            raise type(error)(
                [
                    FieldError(fault.pointer, fault.detail + ours.get(fault.pointer, ""))
                    for fault in error.errors
                ]
            ) from None


def validate_stored(
    connection: Connection,
    tenant: Tenant,
    stored: object,
    *,
    pools: Collection[str],
    outbound: OutboundRules | None,
    with_emotions: bool,
) -> None:
    """Check that fields are valid as a tenant's defaults, or as a saved recipe.

    pools: capabilities that are declared to have workers.  outbound: as in `fields.parse`.
    with_emotions: whether the tenant allows models that read emotions.
    Raises InvalidRecipe and its subclasses, whose pointers begin with `/recipe`, MalformedRequest.
    """
    with _pointing_below_recipe():
        if not _can_be_stored(stored):
            raise InvalidRecipe([FieldError("", "contains NUL or lone surrogates; remove them")])
        published = published_models.list_models(connection, pools=pools)
        if not with_emotions:
            published = published_models.without_emotions(published, why=emotions.OFF_FOR_TENANT)
        fields = json_body.read_fields(stored)
        if isinstance(stored, dict):  # another value is refused, or null
            json_body.refuse_lists(stored)
        _refuse_unstorable(fields)
        pictures = stock.list_usable(connection, tenant)
        recipe_fields.parse(
            fields,
            offered=published_models.list_offered(published),
            faults=published_models.list_faults(published),
            presets=[*PRESETS, *stock.presets_of(pictures)],
            logos=stock.logos_of(pictures),
            outbound=outbound,
        )


def check_stored_size(stored: object, *, most: int) -> None:
    """Raise InvalidRecipe when stored fields have more than `most` bytes as JSON."""
    length = len(json.dumps(stored, ensure_ascii=False).encode())
    if length > most:
        raise InvalidRecipe([FieldError("/recipe", f"has {length} bytes; at most {most} fit")])


@contextlib.contextmanager
def _pointing_below_recipe() -> Iterator[None]:
    """Let the pointers of invalid fields begin with `/recipe`."""
    try:
        yield
    except InvalidRecipe as error:
        raise type(error)(
            [
                FieldError("/recipe" + fault.pointer.removeprefix("/recipe"), fault.detail)
                for fault in error.errors
            ]
        ) from None


def _refuse_unstorable(fields: Fields) -> None:
    never = [
        FieldError(json_pointer(name), why) for name, why in _NOT_ALLOWED.items() if name in fields
    ]
    if fields.get("background") == [str(BackgroundKind.FILE)]:
        never.append(FieldError("/background", _NO_FILE))
    if never:
        raise InvalidRecipe(never)


def _can_be_stored(stored: object) -> bool:
    """Return whether PostgreSQL can store a document: jsonb holds no NUL and no lone surrogate."""
    written = json.dumps(stored, ensure_ascii=False)
    try:
        written.encode()
    except UnicodeEncodeError:
        return False
    return _NUL.search(written) is None


def _fields_at_fault(fields: Fields, error: InvalidRecipe) -> list[str]:
    """Return the names of the fields that an error points to."""
    pointers = {fault.pointer for fault in error.errors}
    return [name for name in fields if json_pointer(name) in pointers]
