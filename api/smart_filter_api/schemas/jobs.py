"""Models of jobs' recipes, lists and events."""

from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import BaseModel, Field

from smart_filter_shared.catalog.scalars import Scalar
from smart_filter_shared.presets import Style
from smart_filter_shared.priority import Priority
from smart_filter_shared.queue.events import EventType
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
from smart_filter_wire.batches import Batch, BatchSummary
from smart_filter_wire.formats import Moment, described
from smart_filter_wire.jobs import Job
from smart_filter_wire.words import OutputName, StageName


class ResolvedModel(BaseModel):
    """The requested model, `auto` or a name, and its parameters."""

    model: str
    params: dict[str, Scalar] = {}


class ResolvedFilter(BaseModel):
    """A requested filter and its parameters."""

    name: str
    params: dict[str, Scalar] = {}


class ResolvedRecipe(BaseModel):
    """The recipe of the job, with defaults filled in."""

    background: str
    outputs: list[OutputName]
    format: Format
    quality: int
    matte_bits: int
    max_bytes: int | None = Field(description="For each of image and cutout")
    keep_metadata: bool
    effort: Effort
    provenance: Provenance
    filename: str | None = None
    style: Style
    edge: Edge
    grow: int
    mask: Mask
    crop: Crop
    margin: str
    scale: str
    position: str
    roi: str
    size: str
    aspect: str
    shadow: str
    outline: str
    light_wrap: str
    harmonize: str
    logo: str = "none"
    logo_place: LogoPlace = LogoPlace.BOTTOM_RIGHT
    logo_size: str = "15%"
    logo_margin: str = "4% 4% 4% 4%"
    filters: list[ResolvedFilter]
    subject: Subject
    require_person: bool
    persons: str = Field(description="`all`, `main`, `front`, `largest`, or numbers such as `1,3`")
    priority: Priority
    run_at: Moment | None
    deadline_ms: int | None = Field(description="From the acceptance of the job")
    segmentation: ResolvedModel
    face: ResolvedModel
    smile: ResolvedModel
    eyes: ResolvedModel


class JobView(StrEnum):
    """How much of each job a list shows."""

    FULL = "full"
    SUMMARY = "summary"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    """An event of a job; data: the job when the event is sent."""

    type: EventType
    stage: StageName | None = field(
        default=None, metadata=described("The stage of `job.stage`; null for other events")
    )
    timestamp: Moment
    data: Job


@dataclass(frozen=True, slots=True)
class BatchEvent:
    """An event of a batch.

    data: the batch when the event is sent, without its items until it has finished.
    """

    type: EventType = field(metadata=described("`batch.progress` or `batch.finished`"))
    timestamp: Moment
    data: Batch | BatchSummary
