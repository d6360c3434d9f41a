"""Former spellings of recipe names, which requests and stored recipes may still have."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from smart_filter_shared.catalog.scalars import Value
from smart_filter_shared.errors import FieldError, InvalidRecipe
from smart_filter_shared.recipe.words import json_pointer

# The current name of each former one, as the contract writes names, dots included.
CURRENT_NAMES: Final[Mapping[str, str]] = {
    "harmonise": "harmonize",
    "filters.glasses.colour": "filters.glasses.color",
    "filters.hat.colour": "filters.hat.color",
    "face.params.neighbours": "face.params.neighbors",
    "eyes.params.neighbours": "eyes.params.neighbors",
}


def find_former_names(fields: Collection[str]) -> list[str]:
    """Return the former names among the names of fields."""
    return [name for name in CURRENT_NAMES if name in fields]


def to_current_names(fields: Mapping[str, Value]) -> dict[str, Value]:
    """Return the fields with their current names.

    Raises InvalidRecipe when a field has both its former and its current name.
    """
    both = [old for old, new in CURRENT_NAMES.items() if old in fields and new in fields]
    if both:
        raise InvalidRecipe(
            [
                FieldError(
                    json_pointer(old),
                    f"is the former spelling of {CURRENT_NAMES[old]}, which is given too: leave "
                    f"{old} out",
                )
                for old in both
            ]
        )
    return {CURRENT_NAMES.get(name, name): value for name, value in fields.items()}


def rename_in_json(recipe: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:  # JSON
    """Return a recipe as JSON, stored or as a request has it, with its current names.

    prefix: what precedes its names in dotted names.  A former name whose value is null is left out.
    """
    return {
        _current_name(prefix, name): _rename_below(f"{prefix}{name}", value)
        for name, value in recipe.items()
        if value is not None or f"{prefix}{name}" not in CURRENT_NAMES
    }


def _current_name(prefix: str, name: str) -> str:
    return CURRENT_NAMES.get(f"{prefix}{name}", f"{prefix}{name}").removeprefix(prefix)


def _rename_below(name: str, value: Any) -> Any:  # noqa: ANN401  # JSON
    if isinstance(value, Mapping):
        return rename_in_json(value, f"{name}.")
    if name == "filters" and isinstance(value, list):
        return [_rename_parameters(one) for one in value]
    return value


def _rename_parameters(one: Any) -> Any:  # noqa: ANN401  # JSON
    """Return a filter with the current names of its parameters; a bare name is unchanged."""
    if not isinstance(one, Mapping) or not isinstance(one.get("params"), Mapping):
        return one
    return {**one, "params": rename_in_json(one["params"], f"filters.{one.get('name')}.")}
