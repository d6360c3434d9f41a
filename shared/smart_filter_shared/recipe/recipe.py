"""What a job asks for, as a value that every part trusts.

`fields.parse` makes it from what somebody sent; `Recipe.as_json` and `from_json` carry it
through the database; `stages` says which part of the pipeline yields it.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from coloraide import Color

from smart_filter_shared.cards import TaskName
from smart_filter_shared.filters import Need
from smart_filter_shared.parameters import Parameters
from smart_filter_shared.pipeline import PIPELINE, StageName
from smart_filter_shared.recipe import files, filters, framing, look
from smart_filter_shared.recipe.files import Files
from smart_filter_shared.recipe.filters import Filter
from smart_filter_shared.recipe.framing import Framing
from smart_filter_shared.recipe.look import Look
from smart_filter_shared.recipe.words import AUTO

CHOOSABLE_TASKS = (TaskName.SEGMENTATION, TaskName.FACE, TaskName.SMILE, TaskName.EYES)


class BackgroundKind(StrEnum):
    """What stands behind the people."""

    AUTO = "auto"
    KEEP = "keep"
    TRANSPARENT = "transparent"
    COLOR = "color"
    PRESET = "preset"
    KEYWORDS = "keywords"
    BLUR = "blur"
    FILE = "file"
    URL = "url"


# Among what words leave, people decide: so both look at faces.
CHOSEN_BY_PEOPLE = frozenset({BackgroundKind.AUTO, BackgroundKind.KEYWORDS})


class Output(StrEnum):
    """Something that a job yields."""

    IMAGE = "image"
    CUTOUT = "cutout"
    MATTE = "matte"
    PERSONS = "persons"
    ZIP = "zip"
    THUMBNAIL = "thumbnail"
    FACES = "faces"
    RATING = "rating"
    PRINTABILITY = "printability"
    DEBUG = "debug"


# What shows the people on their background, and what shows them alone.
PICTURES = frozenset({Output.IMAGE, Output.THUMBNAIL})
CUT_OUT = frozenset({Output.CUTOUT, Output.MATTE, Output.PERSONS, Output.ZIP})
# What the last stage makes.
COMPOSED = PICTURES | CUT_OUT | {Output.PRINTABILITY}


class Format(StrEnum):
    """How the image is encoded; auto is png when it has transparency, else jpg."""

    AUTO = "auto"
    PNG = "png"
    WEBP = "webp"
    JPG = "jpg"
    AVIF = "avif"


class Edge(StrEnum):
    """How much work the edge between people and background is worth."""

    BALANCED = "balanced"
    FAST = "fast"
    BEST = "best"


class Whom(StrEnum):
    """Which persons are kept, when they are not named one by one."""

    ALL = "all"
    LARGEST = "largest"


class Priority(StrEnum):
    """How much of a head start a job gets over others."""

    STANDARD = "standard"
    INTERACTIVE = "interactive"
    BATCH = "batch"


@dataclass(frozen=True, slots=True)
class Background:
    """What stands behind the people.

    value: a CSS colour for `color`, a preset's name for `preset`, words parted by commas for
    `keywords`, a strength from 0 to 1 for `blur`, a web address for `url`, else None.
    """

    kind: BackgroundKind = BackgroundKind.AUTO
    value: str | None = None

    def __str__(self) -> str:
        """Return it as it is written in a recipe, such as `color:#fff`."""
        return str(self.kind) if self.value is None else f"{self.kind}:{self.value}"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a job asks for.

    run_at: when its first stage may run, at the soonest; None for now.
    deadline_ms: how long after its acceptance it is of use to nobody any more; None for ever.
    seed: None until it is drawn at submission.
    models: for each choosable task, `auto` or the name of a model.
    params: for each task, the parameters that were set for its model.
    persons: whom to keep: all, the largest, or persons by number, 1 the leftmost.
    filters: what is drawn on the picture at the end, in order.
    metadata: the client's own strings, echoed and never read.
    """

    background: Background = field(default_factory=Background)
    outputs: tuple[Output, ...] = (Output.IMAGE,)
    format: Format = Format.AUTO
    quality: int = 90
    files: Files = field(default_factory=Files)
    edge: Edge = Edge.BALANCED
    framing: Framing = field(default_factory=Framing)
    look: Look = field(default_factory=Look)
    filters: tuple[Filter, ...] = ()
    require_person: bool = False
    priority: Priority = Priority.STANDARD
    run_at: dt.datetime | None = None
    deadline_ms: int | None = None
    seed: int | None = None
    models: Mapping[TaskName, str] = field(
        default_factory=lambda: dict.fromkeys(CHOOSABLE_TASKS, AUTO)
    )
    params: Mapping[TaskName, Parameters] = field(default_factory=dict)
    persons: Whom | tuple[int, ...] = Whom.ALL
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def rates_people(self) -> bool:
        """Whether people are counted, and their faces found and rated."""
        return (
            self.background.kind in CHOSEN_BY_PEOPLE
            or Output.FACES in self.outputs
            or Output.RATING in self.outputs
            or Output.PRINTABILITY in self.outputs
            or any(one.need == Need.SMILES for one in self.filters)
        )

    def as_json(self) -> dict[str, object]:
        """Return the recipe as JSON, without seed and metadata: a job shows those beside it."""
        return {
            "background": str(self.background),
            "outputs": [str(output) for output in self.outputs],
            "format": str(self.format),
            "quality": self.quality,
            **self.files.as_json(),
            "edge": str(self.edge),
            **self.framing.as_json(),
            **self.look.as_json(),
            "filters": filters.as_json(self.filters),
            "require_person": self.require_person,
            "persons": persons_text(self.persons),
            "priority": str(self.priority),
            "run_at": None if self.run_at is None else self.run_at.isoformat(),
            "deadline_ms": self.deadline_ms,
            **{
                str(task): {"model": name, "params": dict(self.params.get(task, {}))}
                for task, name in self.models.items()
            },
        }


def stages(recipe: Recipe) -> tuple[StageName, ...]:
    """Return the smallest part of the pipeline that yields what the recipe asks for, in order."""
    wanted = {StageName.PREPARE}
    if recipe.rates_people:
        wanted |= {StageName.SEGMENTATION, StageName.FACE, StageName.SMILE}
    asked = set(recipe.outputs)
    if recipe.require_person or (CUT_OUT | {Output.DEBUG}) & asked:
        wanted.add(StageName.SEGMENTATION)
    if PICTURES & asked and (
        recipe.background.kind != BackgroundKind.KEEP or recipe.framing.asks_for_people
    ):
        wanted.add(StageName.SEGMENTATION)
    if COMPOSED & asked:
        wanted.add(StageName.COMPOSITE)
    return tuple(stage.name for stage in PIPELINE if stage.name in wanted)


def from_json(recipe: Mapping[str, object], *, seed: int, metadata: Mapping[str, str]) -> Recipe:
    """Return the recipe that `as_json` wrote; what this process stored itself is trusted."""
    background, _, value = str(recipe["background"]).partition(":")
    run_at = recipe["run_at"]
    outputs = recipe["outputs"]
    quality = recipe["quality"]
    deadline_ms = recipe.get("deadline_ms")
    if not isinstance(outputs, list) or not isinstance(quality, int):
        raise TypeError(f"not a stored recipe: {recipe}")
    models, params = {}, {}
    for task in CHOOSABLE_TASKS:
        choice = recipe[task]
        if not isinstance(choice, dict):
            raise TypeError(f"not a stored recipe: {recipe}")
        models[task] = str(choice["model"])
        # Rows of version 0.1 have none, nor `persons`.
        if choice.get("params"):
            params[task] = choice["params"]
    return Recipe(
        background=Background(BackgroundKind(background), value or None),
        outputs=tuple(Output(output) for output in outputs),
        format=Format(str(recipe["format"])),
        quality=quality,
        files=files.from_json(recipe),
        edge=Edge(str(recipe.get("edge", Edge.BALANCED))),
        framing=framing.from_json(recipe),
        look=look.from_json(recipe),
        filters=filters.from_json(recipe),
        require_person=recipe["require_person"] is True,
        priority=Priority(str(recipe["priority"])),
        run_at=None if run_at is None else dt.datetime.fromisoformat(str(run_at)),
        deadline_ms=deadline_ms if isinstance(deadline_ms, int) else None,
        seed=seed,
        models=models,
        params=params,
        persons=persons_of(str(recipe.get("persons", Whom.ALL))),
        metadata=metadata,
    )


def persons_of(text: str) -> Whom | tuple[int, ...]:
    """Return whom `all`, `largest` or `1,3` means.  Raises ValueError for anything else."""
    if text in set(Whom):
        return Whom(text)
    return tuple(sorted({int(part) for part in text.split(",")}))


def persons_text(persons: Whom | tuple[int, ...]) -> str:
    """Return it as a recipe writes it."""
    return str(persons) if isinstance(persons, Whom) else ",".join(map(str, persons))


def has_alpha(css_color: str) -> bool:
    """Return whether a valid CSS colour is less than opaque."""
    return Color(css_color).alpha() < 1
