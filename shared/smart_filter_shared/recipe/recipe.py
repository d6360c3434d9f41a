"""The recipe of a job, as a validated value.

`fields.parse` makes a recipe of a client's fields; `Recipe.as_json` and `fields.from_json` carry
it through the database; `required_stages` returns the part of the pipeline that it needs.
"""

import datetime as dt
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from smart_filter_shared.catalog.filters import FilterNeed
from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.catalog.scalars import quote_value
from smart_filter_shared.pipeline import PICTURE_OUTPUTS, PIPELINE, StageName, TaskName
from smart_filter_shared.presets import Style
from smart_filter_shared.priority import Priority
from smart_filter_shared.recipe import look
from smart_filter_shared.recipe.background import (
    SUBJECT_MATCHED_KINDS,
    Background,
    BackgroundKind,
    restore_background,
)
from smart_filter_shared.recipe.declaration import (
    AUTO,
    Field,
    Group,
    RecipeField,
    declare,
    list_fields,
    parsed,
    spelling,
)
from smart_filter_shared.recipe.files import Files
from smart_filter_shared.recipe.framing import Crop, Framing
from smart_filter_shared.recipe.look import Filter, Logo, Look
from smart_filter_shared.suggestions import did_you_mean
from smart_filter_wire.words import Output

# Tasks whose model a recipe chooses, and what they do.
CHOOSABLE_TASKS: Final = {
    TaskName.SEGMENTATION: "Cuts the people out",
    TaskName.FACE: "Finds the faces",
    TaskName.SMILE: "Rates the smiles",
    TaskName.EYES: "Tells open eyes from closed ones",
}
# JSON numbers above this lose digits in JavaScript clients (ECMA-262 Number.MAX_SAFE_INTEGER).
MAX_SEED: Final = 2**53 - 1
MAX_GROW_PX: Final = 3
# Longest deadline: a week.
MAX_DEADLINE_MS: Final = 7 * 24 * 3600 * 1000
MAX_METADATA: Final = 16
MAX_METADATA_CHARACTERS: Final = 256

# The other usual name of the format jpg, and the start of media types.
_JPEG: Final = "jpeg"
_MEDIA_PREFIX: Final = "image/"
_PERSONS: Final = re.compile(r"[1-9][0-9]{0,2}( ?, ?[1-9][0-9]{0,2}){0,99}")


class Format(StrEnum):
    """The encoding of the image; `auto` is png when it has transparency, else jpg."""

    AUTO = "auto"
    PNG = "png"
    WEBP = "webp"
    JPG = "jpg"
    AVIF = "avif"


class Edge(StrEnum):
    """The edge between people and background: the effort spent on it, or none that is soft."""

    BALANCED = "balanced"
    FAST = "fast"
    BEST = "best"
    HARD = "hard"


class Mask(StrEnum):
    """The source of the matte: the model, or the transparency of the upload."""

    MODEL = "model"
    UPLOAD = "upload"


class PersonSelection(StrEnum):
    """The persons to keep, when they are not listed by number."""

    ALL = "all"
    LARGEST = "largest"
    MAIN = "main"
    FRONT = "front"


class Subject(StrEnum):
    """The subject to cut out: people, anything that stands out, or people if any (`auto`)."""

    AUTO = "auto"
    PEOPLE = "people"
    ANY = "any"


# Fields that are not in the recipe of a job's answer.
SHOWN_APART: Final = {"seed", "metadata", "recipe"}
_SEGMENTED: Final = (StageName.SEGMENTATION, StageName.COMPOSITE)


def read_format(text: str) -> str:
    """Return the name of a format; text: the name, its other spelling, or the media type."""
    name = text.removeprefix(_MEDIA_PREFIX)
    if name == _JPEG:
        return Format.JPG
    return text if name == Format.AUTO else name


def read_persons(text: str) -> PersonSelection | tuple[int, ...]:
    """Parse a selection of persons: a word, or numbers such as `1,3`."""
    if text in set(PersonSelection):
        return PersonSelection(text)
    if _PERSONS.fullmatch(text):
        return tuple(sorted({int(part) for part in text.split(",")}))
    raise ValueError(
        f"{quote_value(text)} is not {', '.join(PersonSelection)}, or numbers such as 1,3"
        f"{did_you_mean(text, PersonSelection)}"
    )


def format_persons(persons: PersonSelection | tuple[int, ...]) -> str:
    """Return a selection of persons as a recipe writes it."""
    return str(persons) if isinstance(persons, PersonSelection) else ",".join(map(str, persons))


def read_moment(text: str) -> dt.datetime:
    """Return a time of RFC 3339 in UTC."""
    try:
        moment = dt.datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"{quote_value(text)} is not a time such as 2030-01-31T12:00:00Z (RFC 3339)")


@dataclass(frozen=True, slots=True)
class Recipe:
    """The validated recipe of a job.

    seed: None until submission draws one.
    models: for each choosable task, `auto` or the name of a model.
    params: for each task, the parameters that were set for its model.
    filters: filters to draw on the finished picture, in order.
    metadata: the client's own strings, echoed and never read.
    """

    background: Background = declare(
        Background(),
        """`auto`, `keep`, `transparent`, `color:CSS-COLOR`, `preset:NAME`, `keywords:WORD,WORD`,
        `blur:0..1`, `url:https://HOST/PATH`, or `file`: a form's part `background_file`

        See [Background](#background)
        """,
        spelling(restore_background),
    )
    style: Style = declare(
        Style.CLEAN,
        """What `auto` chooses from: `clean`: papers, walls, gardens, skies; `playful`: patterns;
        `brand`: your own pictures; `seasonal`: the season of the northern year; or one season

        Pictures suit every style
        """,
    )
    outputs: tuple[Output, ...] = declare(
        (Output.IMAGE,),
        """The files to make

        Separated by commas, or a repeated field: see [outputs](outputs.md)
        """,
    )
    subject: Subject = declare(
        Subject.AUTO,
        """What to cut out: `people`; `any`, whatever stands out; `auto`: people, and if there are
        none, whatever stands out

        Such as a product, an animal, a car. Without [`isnet`](../models/isnet.md) on the server
        `u2netp` serves `any`, and `auto` is `people`
        """,
        stages=_SEGMENTED,
    )
    persons: PersonSelection | tuple[int, ...] = declare(
        PersonSelection.ALL,
        """`all`; `main`, whom the photo is of; `front`, those nearest to the camera; `largest`; or
        numbers such as `1,3`, counted from the left of the photo

        [Who these are](../recipes.md#who-and-what-belongs). A model that does not separate
        persons: `contradiction`. A number that no person has counts as no people and
        sets `needs_review`
        """,
        spelling(read_persons, format_persons),
        stages=_SEGMENTED,
    )
    require_person: bool = declare(
        False,
        """Fail when the photo shows no person

        The error is `no_person`
        """,
        stages=_SEGMENTED,
    )
    seed: int | None = declare(
        None,
        """The same photo, recipe and seed give the same image; random by default

        The drawn one is shown in the response
        """,
        least=0,
        most=MAX_SEED,
        stages=(),
    )
    models: Mapping[TaskName, str] = field(
        default_factory=lambda: dict.fromkeys(CHOOSABLE_TASKS, AUTO)
    )
    params: Mapping[TaskName, Parameters] = field(default_factory=dict)
    framing: Framing = field(default_factory=Framing)
    edge: Edge = declare(
        Edge.BALANCED,
        """Effort spent on the edge of the people; `hard` leaves no partial transparency

        `fast`: outlines without [further networks](../models/people.md#further-networks), and
        no colors of hair. `best`: single hairs, and outlines by [`isnet`](../models/isnet.md)
        and [`best`](../models/birefnet.md) where the worker has them ([what both
        cost](../edges.md#how-good-it-is)). `hard`: as `balanced`, but alpha is 0 or 255, exact
        in png and webp until `max_bytes` shrinks them
        """,
        group=Group.EDGE,
        stages=_SEGMENTED,
    )
    mask: Mask = declare(
        Mask.MODEL,
        """`upload`: the transparency of the photo is the matte, exactly

        The photo is cut out already; `auto` then replaces the background always. A photo
        without transparency fails as `no_mask`; with `persons` or a `grow` above 0:
        `contradiction`. A mask in a file: [`mask_file`](jobs.md#submit)
        """,
        group=Group.EDGE,
    )
    grow: int = declare(
        0,
        "Pixels of the photo by which the people's outline moves outward",
        group=Group.EDGE,
        least=-MAX_GROW_PX,
        most=MAX_GROW_PX,
        unit="px",
    )
    look: Look = field(default_factory=Look)
    format: Format = declare(
        Format.AUTO,
        """Encoding of the image; `auto` is png when it has transparency, else jpg

        jpg of a transparent `image`: `contradiction`
        """,
        [parsed(read_format)],
        group=Group.FILE,
    )
    quality: int = declare(
        90,
        """Quality of jpg, webp and avif

        Without effect on alpha. A webp too large for its format gets the next lower quality
        that fits
        """,
        group=Group.FILE,
        least=1,
        most=100,
    )
    files: Files = field(default_factory=Files)
    filters: tuple[Filter, ...] = ()
    logo: Logo = field(default_factory=Logo)
    priority: Priority = declare(
        Priority.STANDARD,
        "How early the job runs",
        group=Group.RUN,
        stages=(),
    )
    run_at: dt.datetime | None = declare(
        None,
        "The job does not start before this time, at most 30 days ahead",
        [parsed(read_moment)],
        group=Group.RUN,
        stages=(),
    )
    deadline_ms: int | None = declare(
        None,
        """Milliseconds from acceptance within which the job must end

        At most a week
        """,
        group=Group.RUN,
        least=1,
        most=MAX_DEADLINE_MS,
        unit="ms",
        stages=(),
    )
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def rates_people(self) -> bool:
        """Whether the job counts the people, and finds and rates their faces."""
        return (
            self.background.kind in SUBJECT_MATCHED_KINDS
            or Output.FACES in self.outputs
            or Output.RATING in self.outputs
            or Output.PRINTABILITY in self.outputs
            or self.framing.document is not None
            or any(filter_.need == FilterNeed.SMILES for filter_ in self.filters)
        )

    def as_json(self) -> dict[str, object]:
        """Return the recipe as JSON, without seed and metadata, which a job shows separately."""
        structured = {
            "filters": look.list_filters(self.filters),
            **{
                str(task): {"model": name, "params": dict(self.params.get(task, {}))}
                for task, name in self.models.items()
            },
        }
        return {
            name: structured[name] if declared.kind is None else declared.value_of(self)
            for name, declared in declared_fields().items()
            if name not in SHOWN_APART
        }


# Fields with names below them, which `fields` reads, and their defaults.
_STRUCTURED: Final[Mapping[str, tuple[Field, object]]] = {
    "recipe": (
        Field(
            """A name from `GET /v1/recipes`, or up to 4: their fields apply where the request
            gives none, and a later recipe takes precedence

            [Saved recipes](catalog.md#saved-recipes), in JSON `{"recipe": {"recipe": NAME}}`
            """,
            group=Group.PICTURE,
            stages=(),
        ),
        None,
    ),
    "filters": (
        Field(
            """Drawn on the image in this order

            `filters.<name>.<parameter>`, such as `filters.hat.kind=santa`, sets a parameter
            ([Filters](../filters.md)); `filters.caption.text` is required. Of a filter that is not
            requested: `invalid_recipe`
            """,
            group=Group.FILTERS,
            outputs=PICTURE_OUTPUTS,
        ),
        [],
    ),
    "metadata": (
        Field(
            f"""Own values by name, returned with the job; names have at most 64 letters, digits,
            `_`, `.` and `-`

            `metadata.NAME` in forms, at most {MAX_METADATA} texts of at most
            {MAX_METADATA_CHARACTERS} characters, in job, events and webhooks
            """,
            group=Group.RUN,
            stages=(),
        ),
        None,
    ),
    **{
        str(task): (Field(text, group=Group.MODELS), AUTO) for task, text in CHOOSABLE_TASKS.items()
    },
}


@functools.cache
def declared_fields() -> Mapping[str, RecipeField]:
    """Return every field of a recipe by name, in the order of forms and documentation."""
    fields = [
        *list_fields(Recipe, Group.PICTURE),
        *list_fields(Framing, Group.FRAME, "framing"),
        *list_fields(Look, Group.EDGE, "look"),
        *list_fields(Files, Group.FILE, "files"),
        *list_fields(Logo, Group.LOGO, "logo"),
        *(
            RecipeField(name, declared.group or Group.PICTURE, declared, default=default)
            for name, (declared, default) in _STRUCTURED.items()
        ),
    ]
    groups = list(Group)
    fields.sort(key=lambda declared: groups.index(declared.group))
    return {declared.name: declared for declared in fields}


def required_stages(recipe: Recipe) -> tuple[StageName, ...]:
    """Return the fewest stages that yield the recipe's outputs, in pipeline order."""
    asked = set(recipe.outputs)
    if recipe.rates_people:
        asked.add(Output.RATING)
    if recipe.framing.crop == Crop.FACES:
        asked.add(Output.FACES)
    replaces_background = recipe.background.kind != BackgroundKind.KEEP
    finds_people = recipe.require_person or (
        PICTURE_OUTPUTS & asked and (replaces_background or recipe.framing.asks_for_people)
    )
    return tuple(
        stage.name
        for stage in PIPELINE
        if stage.imports_photo
        or stage.outputs & asked
        or (finds_people and stage.name == StageName.SEGMENTATION)
    )
