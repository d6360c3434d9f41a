"""The recipe of a job, as a validated value.

`fields.parse` makes a recipe of a client's fields; `Recipe.as_json` and `fields.from_json` carry
it through the database; `required_stages` returns the part of the pipeline that it needs.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from coloraide import Color

from smart_filter_shared.catalog.filters import FilterNeed
from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.pipeline import PIPELINE, StageName, TaskName
from smart_filter_shared.presets import Style
from smart_filter_shared.priority import Priority
from smart_filter_shared.recipe import filters
from smart_filter_shared.recipe.files import Files
from smart_filter_shared.recipe.filters import Filter
from smart_filter_shared.recipe.framing import Crop, Framing
from smart_filter_shared.recipe.logo import Logo
from smart_filter_shared.recipe.look import Look
from smart_filter_shared.recipe.words import AUTO

CHOOSABLE_TASKS = (TaskName.SEGMENTATION, TaskName.FACE, TaskName.SMILE, TaskName.EYES)


class BackgroundKind(StrEnum):
    """The kind of the background behind the people."""

    AUTO = "auto"
    KEEP = "keep"
    TRANSPARENT = "transparent"
    COLOR = "color"
    PRESET = "preset"
    KEYWORDS = "keywords"
    BLUR = "blur"
    FILE = "file"
    URL = "url"


# Kinds that choose a background to suit the people (`keywords`: among those that match), and so
# need their faces.
SUBJECT_MATCHED_KINDS = frozenset({BackgroundKind.AUTO, BackgroundKind.KEYWORDS})


class Output(StrEnum):
    """An output of a job."""

    IMAGE = "image"
    CUTOUT = "cutout"
    MATTE = "matte"
    PERSONS = "persons"
    ZIP = "zip"
    REGIONS = "regions"
    THUMBNAIL = "thumbnail"
    FACES = "faces"
    RATING = "rating"
    PRINTABILITY = "printability"
    DEBUG = "debug"


# Outputs that show the people on their background, and outputs that show the people alone.
PICTURE_OUTPUTS = frozenset({Output.IMAGE, Output.THUMBNAIL})
CUTOUT_OUTPUTS = frozenset({Output.CUTOUT, Output.MATTE, Output.PERSONS, Output.ZIP})
# Outputs of the last stage.
COMPOSED_OUTPUTS = PICTURE_OUTPUTS | CUTOUT_OUTPUTS | {Output.REGIONS, Output.PRINTABILITY}


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


@dataclass(frozen=True, slots=True)
class Background:
    """The background behind the people.

    value: a CSS color for `color`, a preset's name for `preset`, comma-separated words for
    `keywords`, a strength from 0 to 1 for `blur`, a URL for `url`, else None.
    """

    kind: BackgroundKind = BackgroundKind.AUTO
    value: str | None = None

    def __str__(self) -> str:
        """Return the background as a recipe writes it, such as `color:#fff`."""
        return str(self.kind) if self.value is None else f"{self.kind}:{self.value}"


@dataclass(frozen=True, slots=True)
class Recipe:
    """The validated recipe of a job.

    style: the style of the backgrounds that `auto` chooses from.
    mask: UPLOAD uses the transparency of the upload in place of the model's matte.
    grow: pixels of the photo by which the people's outline moves outward, -MAX_GROW_PX to
        MAX_GROW_PX.
    run_at: the earliest start of its first stage; None for now.
    deadline_ms: milliseconds from acceptance to the deadline, after which the result is useless;
        None for no deadline.
    seed: None until submission draws one.
    models: for each choosable task, `auto` or the name of a model.
    params: for each task, the parameters that were set for its model.
    persons: persons to keep: all, the largest, the main ones, those in front, or by number, 1 the
        leftmost.
    filters: filters to draw on the finished picture, in order.
    metadata: the client's own strings, echoed and never read.
    """

    background: Background = field(default_factory=Background)
    style: Style = Style.CLEAN
    outputs: tuple[Output, ...] = (Output.IMAGE,)
    format: Format = Format.AUTO
    quality: int = 90
    files: Files = field(default_factory=Files)
    edge: Edge = Edge.BALANCED
    grow: int = 0
    mask: Mask = Mask.MODEL
    framing: Framing = field(default_factory=Framing)
    look: Look = field(default_factory=Look)
    logo: Logo = field(default_factory=Logo)
    filters: tuple[Filter, ...] = ()
    subject: Subject = Subject.AUTO
    require_person: bool = False
    priority: Priority = Priority.STANDARD
    run_at: dt.datetime | None = None
    deadline_ms: int | None = None
    seed: int | None = None
    models: Mapping[TaskName, str] = field(
        default_factory=lambda: dict.fromkeys(CHOOSABLE_TASKS, AUTO)
    )
    params: Mapping[TaskName, Parameters] = field(default_factory=dict)
    persons: PersonSelection | tuple[int, ...] = PersonSelection.ALL
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def rates_people(self) -> bool:
        """Whether the job counts the people, and finds and rates their faces."""
        return (
            self.background.kind in SUBJECT_MATCHED_KINDS
            or Output.FACES in self.outputs
            or Output.RATING in self.outputs
            or Output.PRINTABILITY in self.outputs
            or any(filter_.need == FilterNeed.SMILES for filter_ in self.filters)
        )

    def as_json(self) -> dict[str, object]:
        """Return the recipe as JSON, without seed and metadata, which a job shows separately."""
        return {
            "background": str(self.background),
            "style": str(self.style),
            "outputs": [str(output) for output in self.outputs],
            "format": str(self.format),
            "quality": self.quality,
            **self.files.as_json(),
            "edge": str(self.edge),
            "grow": self.grow,
            "mask": str(self.mask),
            **self.framing.as_json(),
            **self.look.as_json(),
            **self.logo.as_json(),
            "filters": filters.as_json(self.filters),
            "subject": str(self.subject),
            "require_person": self.require_person,
            "persons": format_persons(self.persons),
            "priority": str(self.priority),
            "run_at": None if self.run_at is None else self.run_at.isoformat(),
            "deadline_ms": self.deadline_ms,
            **{
                str(task): {"model": name, "params": dict(self.params.get(task, {}))}
                for task, name in self.models.items()
            },
        }


def required_stages(recipe: Recipe) -> tuple[StageName, ...]:
    """Return the fewest stages that yield the recipe's outputs, in pipeline order."""
    asked = set(recipe.outputs)
    if recipe.rates_people:
        asked.add(Output.RATING)
    if recipe.framing.crop == Crop.FACES:
        asked.add(Output.FACES)
    replaces_background = recipe.background.kind != BackgroundKind.KEEP
    if recipe.require_person or (
        PICTURE_OUTPUTS & asked and (replaces_background or recipe.framing.asks_for_people)
    ):
        asked.add(Output.DEBUG)  # the one output that needs segmentation alone
    return tuple(stage.name for stage in PIPELINE if stage.imports_photo or stage.outputs & asked)


def format_persons(persons: PersonSelection | tuple[int, ...]) -> str:
    """Return a selection of persons as a recipe writes it."""
    return str(persons) if isinstance(persons, PersonSelection) else ",".join(map(str, persons))


def has_alpha(css_color: str) -> bool:
    """Return whether a valid CSS color is not fully opaque."""
    return Color(css_color).alpha() < 1
