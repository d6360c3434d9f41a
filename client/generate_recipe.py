"""Write the recipe as a type of the client, from the fields that the service declares.

    make client

A test compares the file.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from smart_filter_api.schemas.recipe import Recipe
from smart_filter_shared.catalog.filters import FILTERS

FILE: Final = Path(__file__).parent / "smart_filter_client" / "recipe.py"
# Words that programs name, and the schemas whose words they are.
_NAMED: Final = {"Output": "OutputName", "Format": "Format", "LogoPlace": "LogoPlace"}
_OF_ANSWERS: Final = "OutputName"
_TYPES: Final = {
    "boolean": "bool",
    "integer": "int",
    "number": "float",
    "object": "Mapping[str, str | None]",
    "string": "str",
}
_FILTER_NAMES: Final = [card.name for card in FILTERS]
Schema: TypeAlias = dict[str, Any]  # JSON Schema of any shape
_TEXT: Final = '''"""The recipe of a job as a type, with the meaning of each field.

client/generate_recipe.py writes this file from the fields that the service declares.
"""
# ruff: noqa: E501

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal, TypedDict

from smart_filter_wire.words import OutputName

{words}
# Where an output is saved: a file, or a function of its media type and of the server's name for it.
Place = Path | Callable[[str, str], Path]


class ModelChoice(TypedDict, total=False):
    """The model of a task, `auto` or a name that `models` lists, and its parameters."""

    model: str | None
    params: Mapping[str, str | float | bool | None]


# Names with dots that cannot be nested, because `filters` is a list.
_FilterParameters = TypedDict("_FilterParameters", {{{parameters}}}, total=False)


class Recipe(_FilterParameters, total=False):
    """What to make of a photo; every name is optional, and None counts as absent."""

{fields}

# The default of methods. Not None: for a union, type checkers do not name the misspelled field.
NO_FIELDS: Final[Recipe] = {{}}
'''


def generate() -> str:
    """Return the source of the file."""
    schema = Recipe.model_json_schema()
    words = {
        name: schema["$defs"][of]["enum"] for of, name in _NAMED.items() if name != _OF_ANSWERS
    }
    words["FilterName"] = _FILTER_NAMES
    source = _TEXT.format(
        words="\n".join(f"{name} = {_literal(some)}" for name, some in words.items()),
        parameters=", ".join(
            f"{f'filters.{card.name}.{parameter.name}'!r}: {_type(parameter.schema, {})} | None"
            for card in FILTERS
            for parameter in card.parameters
        ),
        fields="\n".join(
            f"    {name}: Annotated[{_type(field, schema['$defs'])} | None, "
            f"{field['description']!r}]"
            for name, field in schema["properties"].items()
        ),
    )
    return _formatted(source)


def _type(schema: Schema, definitions: Schema) -> str:
    """Return the Python type of a value; a list with one entry may be that entry."""
    name = schema.get("$ref", "").rpartition("/")[2]
    match {**definitions.get(name, {}), **schema}:
        case {"anyOf": choices}:
            kinds = " | ".join(_type(choice, definitions) for choice in choices).split(" | ")
            kind = " | ".join(kind for kind in dict.fromkeys(kinds) if kind != "None")
        case {"enum": words}:
            kind = "FilterName" if words == _FILTER_NAMES else _NAMED.get(name) or _literal(words)
        case {"$ref": _}:
            kind = name
        case {"type": "array", "items": items}:
            item = _type(items, definitions).removesuffix(" | FilterChoice")
            kind = f"{item} | Sequence[{item}]"
        case {"type": word}:
            kind = _TYPES.get(word, "None")
    return kind


def _literal(words: Sequence[str | int]) -> str:
    # Members of enumerations are words, too.
    return f"Literal[{', '.join(repr(getattr(word, 'value', word)) for word in words)}]"


def _formatted(source: str) -> str:
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(FILE), "-"]
    return subprocess.run(  # noqa: S603  # the formatter of this environment
        command, input=source, capture_output=True, text=True, check=True
    ).stdout


if __name__ == "__main__":
    FILE.write_text(generate())
