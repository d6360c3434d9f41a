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


def read_stored(stored: Mapping[str, Any]) -> dict[str, Any]:  # JSON
    """Return a stored recipe with its current names; version 0.1 stored the former ones."""
    return {
        CURRENT_NAMES.get(name, name): _read_stored_value(name, value)
        for name, value in stored.items()
    }


def _read_stored_value(name: str, value: Any) -> Any:  # noqa: ANN401  # JSON
    if name == "filters":
        return [
            {**one, "params": _rename(f"filters.{one['name']}.", one["params"])} for one in value
        ]
    if isinstance(value, Mapping) and "params" in value:
        return {**value, "params": _rename(f"{name}.params.", value["params"])}
    return value


def _rename(prefix: str, params: Mapping[str, Any]) -> dict[str, Any]:  # JSON
    """Return parameters by their current names; prefix: what precedes a name in the recipe."""
    return {
        CURRENT_NAMES.get(f"{prefix}{name}", f"{prefix}{name}").removeprefix(prefix): value
        for name, value in params.items()
    }
