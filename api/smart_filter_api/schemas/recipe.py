"""The recipe of requests and of answers, made from the declared fields.

The models describe bodies in the OpenAPI document. `intake` and `recipe.fields` parse the bodies
themselves, because a photo is cut out of its JSON before parsing. No property of a request has a
default in the schema: generated clients would send it, which overrides a tenant's or a parent's
recipe.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Final, Optional

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
    create_model,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from smart_filter_shared.catalog.filters import FILTERS
from smart_filter_shared.catalog.scalars import Scalar
from smart_filter_shared.recipe.recipe import (
    CHOOSABLE_TASKS,
    MAX_METADATA,
    MAX_METADATA_CHARACTERS,
    SHOWN_APART,
    declared_fields,
)
from smart_filter_wire.words import OutputName


def _drop_absent(schema: dict[str, Any]) -> None:  # JSON Schema of any shape
    """Remove null defaults and empty units from the properties of a schema."""
    for name, field in schema["properties"].items():
        schema["properties"][name] = {
            word: value for word, value in field.items() if value or value == 0
        }


OPTIONAL: Final = ConfigDict(extra="forbid", json_schema_extra=_drop_absent)

MetadataText = Annotated[str, Field(max_length=MAX_METADATA_CHARACTERS)]
Metadata = Annotated[dict[str, MetadataText | None], Field(max_length=MAX_METADATA)]
FilterName = Annotated[
    str, WithJsonSchema({"type": "string", "enum": [card.name for card in FILTERS]})
]


class ModelChoice(BaseModel):
    """The model of a task, and its parameters."""

    model_config = OPTIONAL

    model: str | None = Field(
        default=None, description="`auto`, the default, or a name from `GET /v1/models`"
    )
    params: dict[str, Scalar | None] | None = Field(
        default=None, description="See `parameters` of the model in `GET /v1/models`"
    )


class FilterChoice(BaseModel):
    """A filter and its parameters."""

    model_config = OPTIONAL

    name: FilterName
    params: dict[str, Scalar | None] | None = Field(
        default=None, description="See `parameters` of the filter in `GET /v1/filters`"
    )


class ResolvedModel(BaseModel):
    """The requested model, `auto` or a name, and its parameters."""

    model: str
    params: dict[str, Scalar] = {}


class ResolvedFilter(BaseModel):
    """A requested filter and its parameters."""

    name: str
    params: dict[str, Scalar] = {}


# The types of fields with names below them: in requests, and in answers.
_STRUCTURED: Final[dict[str, tuple[Any, Any]]] = {
    "outputs": (list[OutputName], list[OutputName]),
    "recipe": (str | list[str], None),
    "filters": (list[FilterName | FilterChoice], list[ResolvedFilter]),
    "metadata": (Metadata, None),
    **{str(task): (ModelChoice, ResolvedModel) for task in CHOOSABLE_TASKS},
}


def _request_model() -> type[BaseModel]:
    fields: dict[str, Any] = {
        name: (
            Optional[_STRUCTURED[name][0] if name in _STRUCTURED else field.kind],  # noqa: UP045
            Field(
                default=None,
                description=field.help,
                json_schema_extra={"x-group": str(field.group), "x-unit": field.declared.unit},
            ),
        )
        for name, field in declared_fields().items()
    }
    doc = "How a photo is processed; every field is optional, and null counts as absent."
    return create_model("Recipe", __config__=OPTIONAL, __doc__=doc, **fields)


def _answer_model() -> type[BaseModel]:
    fields: dict[str, Any] = {
        name: _STRUCTURED[name][1] if name in _STRUCTURED else field.kind
        for name, field in declared_fields().items()
        if name not in SHOWN_APART
    }
    doc = "The recipe of the job, with defaults filled in."
    return create_model("ResolvedRecipe", __doc__=doc, **fields)


@dataclass(frozen=True, slots=True)
class _Described:
    """Describes a JSON object by a model, which neither reads nor writes it."""

    model: type[BaseModel]

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(self.model.__pydantic_core_schema__)


Recipe: Final = _request_model()
Resolved: Final = _answer_model()
# A recipe as JSON bodies write it, which recipe.fields parses; and as `Recipe.as_json` makes it.
RecipeFields = Annotated[dict[str, Any], _Described(Recipe)]
ResolvedRecipe = Annotated[dict[str, Any], _Described(Resolved)]
