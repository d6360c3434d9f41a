"""Request models of submitted photos: the recipe, a job, a batch.

They describe the bodies in the OpenAPI document; `intake` and `recipe.fields` parse the bodies
themselves, because a photo is cut out of its JSON before parsing. No property has a default in the
schema: generated clients would send it, which overrides a tenant's or a parent's recipe.
"""

import uuid
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from smart_filter_api.intake.multipart import MAX_PHOTO_BYTES
from smart_filter_api.schemas.parameters import Instant
from smart_filter_api.schemas.strokes import Strokes
from smart_filter_shared.catalog.filters import FILTERS
from smart_filter_shared.catalog.scalars import Scalar
from smart_filter_shared.presets import Style
from smart_filter_shared.priority import Priority
from smart_filter_shared.queue.batches import MAX_ITEMS
from smart_filter_shared.recipe import (
    Crop,
    Edge,
    Effort,
    Format,
    LogoPlace,
    Mask,
    Provenance,
    Subject,
)
from smart_filter_shared.recipe.fields import (
    MAX_DEADLINE_MS,
    MAX_GROW_PX,
    MAX_METADATA,
    MAX_METADATA_CHARACTERS,
    MAX_SEED,
)
from smart_filter_shared.recipe.files import MAX_BYTES_LOWER_BOUND, MAX_NAME_CHARACTERS
from smart_filter_shared.security import urls
from smart_filter_shared.takes import MAX_SHOTS, MIN_SHOTS
from smart_filter_wire.takes import TAKE
from smart_filter_wire.words import OutputName


def _drop_null_defaults(schema: dict[str, Any]) -> None:  # JSON Schema of any shape
    for field in schema["properties"].values():
        if field.get("default", ...) is None:
            del field["default"]


_OPTIONAL = ConfigDict(extra="forbid", json_schema_extra=_drop_null_defaults)

Url = Annotated[
    str, Field(min_length=1, max_length=urls.MAX_CHARACTERS, json_schema_extra={"format": "uri"})
]
PhotoBase64 = Annotated[str, Field(min_length=4, json_schema_extra={"contentEncoding": "base64"})]
MetadataText = Annotated[str, Field(max_length=MAX_METADATA_CHARACTERS)]
Metadata = Annotated[dict[str, MetadataText | None], Field(max_length=MAX_METADATA)]
FilterName = Annotated[
    str, WithJsonSchema({"type": "string", "enum": [card.name for card in FILTERS]})
]

_URL_DESCRIPTION = "In place of the photo: its URL on a public host; a worker fetches it"
_UPLOAD_DESCRIPTION = (
    "In place of the photo: the `upload_id` from `POST /v1/uploads`, after the photo was uploaded "
    "there"
)
_NAME_DESCRIPTION = "Name of the photo's file; by default the one of the form's part `photo`"
_WEBHOOK_DESCRIPTION = "Receives the final event, signed with the secret of the webhook `default`"


class ModelChoice(BaseModel):
    """The model of a task, and its parameters."""

    model_config = _OPTIONAL

    model: str | None = Field(
        default=None, description="`auto`, the default, or a name from `GET /v1/models`"
    )
    params: dict[str, Scalar | None] | None = Field(
        default=None, description="See `parameters` of the model in `GET /v1/models`"
    )


class FilterChoice(BaseModel):
    """A filter and its parameters."""

    model_config = _OPTIONAL

    name: FilterName
    params: dict[str, Scalar | None] | None = Field(
        default=None, description="See `parameters` of the filter in `GET /v1/filters`"
    )


class Recipe(BaseModel):
    """How a photo is processed; every field is optional, and null counts as absent."""

    model_config = _OPTIONAL

    recipe: str | list[str] | None = Field(
        default=None,
        description="A name from `GET /v1/recipes`, or up to 4: their fields apply where the "
        "request gives none, and a later recipe takes precedence",
    )
    background: str | None = Field(
        default=None,
        description="`auto`, the default, `keep`, `transparent`, `color:CSS-COLOR`, `preset:NAME`, "
        "`keywords:WORD,WORD`, `blur:0..1`, `url:https://HOST/PATH`, or `file` with the part "
        "`background_file` of a form",
    )
    outputs: list[OutputName] | None = Field(
        default=None, min_length=1, description="The files to make; `image` by default"
    )
    format: Format | None = Field(
        default=None,
        description="Encoding of the image; `auto`, the default, is png when it has transparency, "
        "else jpg",
    )
    quality: int | None = Field(
        default=None, ge=1, le=100, description="Quality of jpg, webp and avif; 90 by default"
    )
    matte_bits: Literal[8, 16] | None = Field(
        default=None, description="Bits of a pixel of the matte; 8 by default"
    )
    max_bytes: int | str | None = Field(
        default=None,
        description="Size limit for each of image and cutout: `200000`, `200kB`, `1.5MB`; at least "
        f"{MAX_BYTES_LOWER_BOUND} bytes",
    )
    keep_metadata: bool | None = Field(
        default=None,
        description="Keep description, artist, copyright, camera and times; never the location; "
        "false by default",
    )
    effort: Effort | None = Field(
        default=None,
        description="`small`: encode more slowly, for fewer bytes; `fast` by default",
    )
    provenance: Provenance | None = Field(
        default=None,
        description="`c2pa`: image and cutout carry signed Content Credentials and the IPTC's "
        "digital source type; `none` by default",
    )
    filename: str | None = Field(
        default=None,
        max_length=MAX_NAME_CHARACTERS,
        description="Name of downloads: `{name}` of the photo, its number `{n}` in the batch, "
        "`{background}`",
    )
    style: Style | None = Field(
        default=None,
        description="The backgrounds that `auto` chooses from: `clean`, the default: places and "
        "light; `playful`: patterns; `brand`: your own pictures; `seasonal`: the season of the "
        "northern year; or one season",
    )
    edge: Edge | None = Field(
        default=None,
        description="Effort spent on the edge of the people; `balanced` by default; `hard` leaves "
        "no partial transparency",
    )
    mask: Mask | None = Field(
        default=None,
        description="`upload`: the transparency of the photo is the matte, exactly; `model` by "
        "default",
    )
    grow: int | None = Field(
        default=None,
        ge=-MAX_GROW_PX,
        le=MAX_GROW_PX,
        description="Pixels of the photo by which the people's outline moves outward",
    )
    crop: Crop | bool | None = Field(
        default=None,
        description="`true`: crop around the people; `faces`: frame a portrait of the faces; "
        "`false` by default",
    )
    margin: str | None = Field(
        default=None,
        description="Margin around the crop: 1, 2 or 4 values such as `30px` (at most 500) or "
        "`10%` (50); `0px` by default",
    )
    scale: str | None = Field(
        default=None,
        description="Size of the people in the image, `10%` to `100%`; `original` by default",
    )
    position: str | None = Field(
        default=None,
        description="Position of the people: `center`, or one or two values from `0%` to `100%`; "
        "`original` by default",
    )
    roi: str | None = Field(
        default=None,
        description="Region that holds the people: left, top, right, bottom; `0% 0% 100% 100%` by "
        "default",
    )
    size: str | None = Field(
        default=None,
        description="Output size: `full`, the default, `preview`, `medium`, `hd`, `1080x1350`, "
        "`print:10x15`",
    )
    aspect: str | None = Field(
        default=None,
        description="Aspect ratio: `original`, the default, `1:1`, `4:5`, `9:16`, `3:2` …",
    )
    shadow: str | None = Field(
        default=None,
        description="`auto`, the default, `none`, `drop` or `contact`; the last two take a "
        "strength: `drop:0.4`",
    )
    outline: str | None = Field(
        default=None,
        description="`none`, the default, or a width and a CSS color: `1.5% white`, `12px #f80`",
    )
    light_wrap: float | str | None = Field(
        default=None,
        description="How much light of the background falls on the people's edge, 0 to 1; `auto` "
        "by default",
    )
    harmonize: float | str | None = Field(
        default=None,
        description="How far the people's colors move toward the background's light, 0 to 1; "
        "`auto` by default",
    )
    logo: str | None = Field(
        default=None,
        description="A logo that is drawn on the finished image: `none`, the default, or a name of "
        "`logos` in `GET /v1/recipes`",
    )
    logo_place: LogoPlace | None = Field(
        default=None, description="Where the logo is; `bottom-right` by default"
    )
    logo_size: str | None = Field(
        default=None, description="The logo's share of the image's width, `1%` to `100%`; `15%`"
    )
    logo_margin: str | None = Field(
        default=None,
        description="Border that stays free of the logo: 1, 2 or 4 values such as `30px` or `10%` "
        "of the image's sides; `4%` by default",
    )
    filters: list[FilterName | FilterChoice] | None = Field(
        default=None, description="Drawn in this order; none by default"
    )
    subject: Subject | None = Field(
        default=None,
        description="What to cut out: `people`; `any`, whatever stands out; `auto`, the default: "
        "people, and if there are none, whatever stands out",
    )
    require_person: bool | None = Field(
        default=None, description="Fail when the photo shows no person; false by default"
    )
    persons: str | None = Field(
        default=None,
        description="`all`, the default; `main`, whom the photo is of; `front`, those nearest to "
        "the camera; `largest`; or numbers such as `1,3`, counted from the left of the photo",
    )
    priority: Priority | None = Field(
        default=None, description="How early the job runs; `standard` by default"
    )
    run_at: Instant | None = Field(
        default=None, description="The job does not start before this time, at most 30 days ahead"
    )
    deadline_ms: int | None = Field(
        default=None,
        ge=1,
        le=MAX_DEADLINE_MS,
        description="Milliseconds from acceptance within which the job must end",
    )
    seed: int | None = Field(
        default=None,
        ge=0,
        le=MAX_SEED,
        description="The same photo, recipe and seed give the same image; random by default",
    )
    segmentation: ModelChoice | None = Field(default=None, description="Cuts the people out")
    face: ModelChoice | None = Field(default=None, description="Finds the faces")
    smile: ModelChoice | None = Field(default=None, description="Rates the smiles")
    eyes: ModelChoice | None = Field(default=None, description="Tells open eyes from closed ones")
    metadata: Metadata | None = Field(
        default=None,
        description="Own values by name, returned with the job; names have at most 64 letters, "
        "digits, `_`, `.` and `-`",
    )


class _AsRecipe:
    """Describes a field that is parsed later as a `Recipe`."""

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(Recipe.__pydantic_core_schema__)


# A recipe as JSON bodies write it; recipe.fields parses it.
RecipeFields = Annotated[dict[str, Any], _AsRecipe()]


class SubmitJobRequest(BaseModel):
    """A photo and its recipe; send exactly one of photo_base64, photo_url and upload_id."""

    model_config = _OPTIONAL

    photo_base64: PhotoBase64 | None = Field(
        default=None, description="The photo's bytes, with the limits of the part `photo`"
    )
    photo_url: Url | None = Field(default=None, description=_URL_DESCRIPTION)
    upload_id: uuid.UUID | None = Field(default=None, description=_UPLOAD_DESCRIPTION)
    photo_name: str | None = Field(default=None, description=_NAME_DESCRIPTION)
    webhook_url: Url | None = Field(default=None, description=_WEBHOOK_DESCRIPTION)
    strokes: Strokes | None = Field(
        default=None,
        description="Drawn over the photo as it is sent, in its pixels as EXIF turns them",
    )
    recipe: Recipe | None = None


class CreateBatchItem(BaseModel):
    """A photo of a batch; send exactly one of photo_base64, photo_url and upload_id."""

    model_config = _OPTIONAL

    photo_base64: PhotoBase64 | None = Field(
        default=None,
        description="The photo's bytes; all photos of a batch together have at most "
        f"{MAX_PHOTO_BYTES} bytes",
    )
    photo_url: Url | None = Field(default=None, description=_URL_DESCRIPTION)
    upload_id: uuid.UUID | None = Field(default=None, description=_UPLOAD_DESCRIPTION)
    photo_name: str | None = Field(default=None, description=_NAME_DESCRIPTION)
    recipe: Recipe | None = Field(
        default=None, description="Its fields override those of the batch's `recipe`"
    )
    metadata: Metadata | None = Field(
        default=None, description="Own values by name, returned with the job of this photo"
    )


class AlbumRequest(BaseModel):
    """Rank the photos of a batch, and compose the best, or one picture of them all."""

    model_config = ConfigDict(extra="forbid")

    best: Annotated[int, Field(ge=0, le=MAX_ITEMS)] | Annotated[str, Field(pattern=f"^{TAKE}$")] = (
        Field(
            description="Number of photos to compose, the best by rank; or `take`: one picture of "
            f"{MIN_SHOTS} to {MAX_SHOTS} photos of the same people, with each person's best face"
        )
    )


class CreateBatchRequest(BaseModel):
    """Photos that are submitted together."""

    model_config = _OPTIONAL

    items: list[CreateBatchItem] = Field(min_length=1, max_length=MAX_ITEMS)
    recipe: Recipe | None = Field(default=None, description="Recipe for all items")
    album: AlbumRequest | None = None
    webhook_url: Url | None = Field(default=None, description=_WEBHOOK_DESCRIPTION)
