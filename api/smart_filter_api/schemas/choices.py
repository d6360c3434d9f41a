"""What a recipe may name: models, backgrounds, filters."""

from typing import Any

from pydantic import BaseModel, Field

from smart_filter_api.schemas.moments import Moment
from smart_filter_shared.cards import TaskName
from smart_filter_shared.filters import Need
from smart_filter_shared.jobs.versions import VersionState
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.presets import Mood, Source
from smart_filter_shared.presets.words import WordKind


class WeightsAnswer(BaseModel):
    """A file of weights and the SHA-256 of its bytes."""

    name: str
    sha256: str


class NeedsAnswer(BaseModel):
    """What a worker must have to run a model: packages, and the extra that brings them."""

    packages: list[str]
    extra: str | None


class VersionAnswer(BaseModel):
    """Weights that were trained for a model: live, tried beside it as a shadow, or a candidate.

    data_set: of corrections, which version they were trained on.
    deletions: how many photos that they were trained on are deleted since.
    """

    digest: str
    state: VersionState
    data_set: int | None
    trained_on: str
    trained_at: Moment
    deletions: int


class ModelAnswer(BaseModel):
    """The card of a model.

    research: whether its weights were made of data that is for research only, or of unknown terms.
    digest: by which the weights are known that it runs with; null when it has none, or chooses
    among several.  versions: weights that were trained for it.
    parameters: JSON Schema of what `<task>.params.NAME` sets.
    fault: why it is not offered; of one that is offered, why no live worker can load it.
    """

    name: str
    version: str
    task: TaskName
    stage: StageName
    family: str
    title: str
    source: str
    licence: str
    data_terms: str
    research: bool
    default: bool
    weights: list[WeightsAnswer]
    digest: str | None
    versions: list[VersionAnswer]
    input_size: list[int] | None
    batch_size: int
    quality: dict[str, float]
    speed: dict[str, float]
    devices: list[str]
    parameters: dict[str, Any]
    needs: NeedsAnswer
    capability: str
    tells_persons_apart: bool
    offered: bool
    fault: str | None


class ModelPage(BaseModel):
    """All models that are offered, on one page."""

    items: list[ModelAnswer]
    next_cursor: str | None = None


class PresetAnswer(BaseModel):
    """A background by name; palette: its colours, brightness: 0 black to 1 white.

    source: `generated`, or who has the picture: `site`, the operator; `tenant`, the caller's own.
    surface: whether others can be printed on it, as in `preset:rainbow+linen`.
    """

    name: str
    title: str
    source: Source
    family: str
    tags: list[str]
    moods: list[Mood]
    palette: list[str]
    brightness: float
    surface: bool
    thumbnail: str = Field(description="where a WebP of 240 × 160 pixels is had")


class WordAnswer(BaseModel):
    """A word that `keywords:` understands; a name is that of one background.

    count: how many of the caller's backgrounds answer it; null of colours and tones, which all
    answer more or less.
    """

    word: str
    kind: WordKind
    count: int | None


class WordPage(BaseModel):
    """All words, on one page, in order."""

    items: list[WordAnswer]
    next_cursor: str | None = None


class PresetPage(BaseModel):
    """All backgrounds by name, on one page."""

    items: list[PresetAnswer]
    next_cursor: str | None = None


class FilterAnswer(BaseModel):
    """A filter by name.

    needs: what it goes by, `faces` or `smiles`; null for neither.
    parameters: JSON Schema of what `filters.<name>.NAME` sets.
    """

    name: str
    title: str
    needs: Need | None
    parameters: dict[str, Any]


class FilterPage(BaseModel):
    """All filters, on one page."""

    items: list[FilterAnswer]
    next_cursor: str | None = None
