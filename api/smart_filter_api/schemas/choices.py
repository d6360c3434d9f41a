"""Response models of models, backgrounds and filters, which a recipe can name."""

from typing import Any

from pydantic import BaseModel, Field

from smart_filter_api.schemas.moments import UtcDatetime
from smart_filter_shared.catalog.filters import FilterNeed
from smart_filter_shared.catalog.model_card import Commercial
from smart_filter_shared.model_registry.weight_versions import VersionState
from smart_filter_shared.pipeline import StageName, TaskName
from smart_filter_shared.presets import BackgroundSource, Mood
from smart_filter_shared.presets.words import Keyword


class ModelWeights(BaseModel):
    """A file of weights and the SHA-256 of its bytes."""

    name: str
    sha256: str


class ModelRequirements(BaseModel):
    """Requirements of a model: Python packages, and the extra that installs them."""

    packages: list[str]
    extra: str | None


class ModelVersion(BaseModel):
    """Trained weights of a model: live, a candidate, or retired.

    data_set: version of the data set of corrections that they were trained on.
    deletions: how many of their training photos were deleted since.
    """

    digest: str
    state: VersionState
    data_set: int | None
    trained_on: str
    trained_at: UtcDatetime
    deletions: int


class Model(BaseModel):
    """The card of a model.

    commercial: whether code, weights and training data allow commercial use.
    research: whether that is anything but yes; such models can be turned off.
    emotions: whether it infers emotions from faces.
    digest: digest of its current weights; null when it has none or chooses among several.
    versions: weights that were trained for it on this server.
    parameters: JSON Schema of the parameters, set with `<task>.params.NAME`.
    fault: why it is not offered; for an offered model, why no live worker can load it.
    """

    name: str
    version: str
    task: TaskName
    stage: StageName
    family: str
    title: str
    source: str
    license: str
    data_terms: str
    commercial: Commercial
    research: bool
    emotions: bool
    default: bool
    weights: list[ModelWeights]
    digest: str | None
    versions: list[ModelVersion]
    input_size: list[int] | None
    batch_size: int
    quality: dict[str, float]
    speed: dict[str, float]
    devices: list[str]
    parameters: dict[str, Any]
    needs: ModelRequirements
    capability: str
    tells_persons_apart: bool
    offered: bool
    fault: str | None


class ModelPage(BaseModel):
    """All offered models, on one page."""

    items: list[Model]
    next_cursor: str | None = None


class Background(BaseModel):
    """A named background; palette: its colors, brightness: from 0, black, to 1, white.

    source: `generated`, or the owner of the picture: `site`, the operator; `tenant`, the caller.
    surface: whether other backgrounds can be printed on it, as in `preset:rainbow+linen`.
    """

    name: str
    title: str
    source: BackgroundSource
    family: str
    tags: list[str]
    moods: list[Mood]
    palette: list[str]
    brightness: float
    surface: bool
    thumbnail: str = Field(description="Path of a WebP of 240 × 160 pixels")


class KeywordPage(BaseModel):
    """All keywords in order, on one page."""

    items: list[Keyword]
    next_cursor: str | None = None


class BackgroundPage(BaseModel):
    """All named backgrounds, on one page."""

    items: list[Background]
    next_cursor: str | None = None


class Filter(BaseModel):
    """A named filter.

    needs: the results it needs, `faces` or `smiles`; null for neither.
    parameters: JSON Schema of the parameters, set with `filters.<name>.NAME`.
    """

    name: str
    title: str
    needs: FilterNeed | None
    parameters: dict[str, Any]


class FilterPage(BaseModel):
    """All filters, on one page."""

    items: list[Filter]
    next_cursor: str | None = None
