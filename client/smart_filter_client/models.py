"""The client's own types: answers of smart_filter_wire with what the client adds, and arguments.

A state of a newer server can be none of its type's. `document` keeps the unparsed JSON. Files that
are saved appear complete or not at all.
"""

import datetime as dt
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Final, Literal, TypedDict, get_args

from smart_filter_client.errors import NoOutput
from smart_filter_client.reading import as_object, read_answer
from smart_filter_client.recipe import Recipe
from smart_filter_wire import batches, catalog, jobs, tenants
from smart_filter_wire.formats import JsonObject
from smart_filter_wire.words import OutputName

WebhookEvent = Literal["job.succeeded", "job.failed", "job.canceled", "batch.finished"]
FINAL_EVENTS: Final[frozenset[str]] = frozenset(get_args(WebhookEvent))
GrantedScope = Literal["submit", "read", "admin"]


@dataclass(frozen=True, slots=True)
class Output:
    """An output; media_type: such as `image/jpeg`."""

    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(jobs.Job):
    """One photo with its recipe, state and results; docs/api/jobs.md has every field.

    recipe: the recipe with defaults filled in.
    outputs: the path on the server of each available output.
    files: the outputs in memory, of a job that `run` returned.
    document: the unparsed JSON.
    """

    document: JsonObject = field(repr=False, compare=False)
    files: Mapping[OutputName, Output] = field(default_factory=dict, repr=False, compare=False)

    def save(self, to: Path | str, name: OutputName = "image") -> Path:
        """Write an output of a job that `run` returned to a file; return its path.

        The file appears complete or not at all.
        Raises NoOutput when the job has no such output in memory, and OSError.
        """
        place = Path(to)
        write_file(place, self._file(name).content)
        return place

    def _file(self, name: OutputName) -> Output:
        if name in self.files:
            return self.files[name]
        if self.error is not None:
            raise NoOutput(f"job {self.id} {self.state}: {self.error.code}, {self.error.detail}")
        if name in self.outputs:
            raise NoOutput(f"{name} of job {self.id} is on the server: use the client's `download`")
        names = ", ".join(self.outputs) or "none"
        raise NoOutput(f"job {self.id} ({self.state}) has no output {name!r}; it has {names}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch(batches.Batch):
    """Photos that were submitted together; those in none of the three counts are unfinished.

    items: one for each photo, in order; empty in lists and events.
    take: None without one, and in lists and events.
    document: the unparsed JSON.
    """

    document: JsonObject = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model(catalog.Model):
    """The card of a model; docs/api/catalog.md has every field.  document: the unparsed JSON."""

    document: JsonObject = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey(tenants.NewApiKey):
    """A newly issued key; key: the secret itself, shown once."""

    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a job or a batch.

    stage: of `job.stage`, the stage that has succeeded; None for other events.
    id: in a stream the value for `after`; in a webhook its `webhook-id`, the same in each attempt.
    type: such as `job.succeeded`; the contract lists them.
    job, batch: its state when the event was sent; None for events of the other kind.  A webhook
        about a crowd has a count and a link in place of faces and rating, which are None then.
    data: the unparsed JSON.
    """

    id: str
    type: str
    timestamp: dt.datetime | None
    stage: str | None
    data: JsonObject = field(repr=False)
    job: Job | None = None
    batch: Batch | None = None

    @property
    def is_final(self) -> bool:
        """Whether the job or the batch has ended."""
        return self.type in FINAL_EVENTS


def read_event(document: object, event_id: str) -> Event:
    """Return an event, whose id is not in its document.  Raises UnexpectedAnswer."""
    event = read_answer(Event, {**as_object(document, "an event"), "id": event_id})
    if event.type.startswith("job."):
        return replace(event, job=read_answer(Job, event.data))
    if event.type.startswith("batch."):
        return replace(event, batch=read_answer(Batch, event.data))
    return event


@dataclass(frozen=True, slots=True)
class Stroke:
    """A drawn line, as x, y in pixels of the upright photo.

    keep: whether the covered area is people.  snap: the line marks regions of the photo, or parts
    of similar color; without a width all of those at its points, with one what it covers of them.
    """

    points: Sequence[tuple[float, float]]
    width: float | None = None
    keep: bool = False
    snap: Literal["part", "region"] | None = None


class TenantChange(TypedDict, total=False):
    """Changes to the settings of a tenant; None restores the server's setting."""

    requests_per_minute: int | None
    jobs_waiting: int | None
    megapixels_per_day: float | None
    stored_bytes: int | None
    pictures: int | None
    keep_input_seconds: int | None
    keep_result_seconds: int | None
    keep_nothing: bool
    recipe: Recipe | None
    emotions: Literal[False] | None
    link_seconds: int | None


def write_file(place: Path, content: bytes) -> None:
    """Write a file.  Raises OSError."""
    writing = PartialFile.begin(place)
    try:
        writing.file.write(content)
        writing.finish()
    finally:
        writing.end()


@dataclass(frozen=True, slots=True)
class PartialFile:
    """A file being written; partial: its temporary path until it is complete."""

    place: Path
    partial: Path | None
    file: IO[bytes]

    @classmethod
    def begin(cls, place: Path) -> "PartialFile":
        """Open the temporary file, or a device itself."""
        if place.exists() and not place.is_file():  # a device or a pipe must not be replaced
            return cls(place, None, place.open("wb"))
        partial = place.with_name(f".{place.name[:100]}.{secrets.token_hex(4)}.part")
        return cls(place, partial, partial.open("xb"))

    def finish(self) -> None:
        """Put the complete file in its place."""
        self.file.flush()
        if self.partial is not None:
            os.fsync(self.file.fileno())
            self.partial.replace(self.place)

    def end(self) -> None:
        """Close the file, and remove what is incomplete."""
        self.file.close()
        if self.partial is not None:
            self.partial.unlink(missing_ok=True)
