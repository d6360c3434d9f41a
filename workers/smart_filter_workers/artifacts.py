"""What stages read and make, carried between memory, storage and rows.

A stage says what it reads by the fields of its `Inputs`, and what it makes by the fields
of its result. Arrays become `.npy` objects, encoded files objects of their own, and
everything else JSON in the stage's row:

    {"facts": {field: JSON}, "arrays": {field: key}, "files": {field: {"key", …}}}

Recent arrays and decoded photos stay in a bounded memory cache, so that a worker that
serves several stages decodes a photo once.
"""

import dataclasses
import functools
import io
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from smart_filter_shared.errors import (
    ArtifactsGone,
    ImageTooLarge,
    ImageUnreadable,
    InputsExpired,
    ObjectMissing,
    PhotoUnreachable,
    PictureLate,
)
from smart_filter_shared.jobs.leases import Lease
from smart_filter_shared.jobs.queries import JobRow, Json
from smart_filter_shared.jobs.retention import Kind
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import PICTURES, BackgroundKind, Output
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_workers import bringing, images
from smart_filter_workers.bringing import Landed
from smart_filter_workers.fetcher import Fetcher
from smart_filter_workers.recent import Recent
from smart_filter_workers.results import (
    Composited,
    Drawn,
    Encoded,
    Faces,
    Photo,
    Prepared,
    Segmented,
    Smiles,
    Stroke,
)
from smart_filter_workers.stock.room import StockRoom

# The field of an `Inputs` that asks for a stage's result, and that result's type.
_RESULTS: Mapping[str, tuple[StageName, type]] = {
    "prepared": (StageName.PREPARE, Prepared),
    "segmented": (StageName.SEGMENTATION, Segmented),
    "faces": (StageName.FACE, Faces),
    "smiles": (StageName.SMILE, Smiles),
    "composited": (StageName.COMPOSITE, Composited),
}
_ARRAY_TYPE = "application/x-npy"
_STROKES = TypeAdapter(tuple[Stroke, ...])

Inputs = TypeVar("Inputs")
Value = TypeVar("Value")


@dataclasses.dataclass(frozen=True, slots=True)
class Kept:
    """What was stored of a result: the JSON for its row, and the objects by their keys."""

    row: Mapping[str, object]
    artifacts: Mapping[str, Kind]


class Artifacts:
    """Loads inputs of stages and stores their results; safe for threads.

    recent: what was lately decoded or made.  room: where backgrounds that are pictures are had.
    fetcher: fetches what a job names by its address.
    """

    def __init__(
        self, store: ObjectStore, recent: Recent, room: StockRoom, fetcher: Fetcher
    ) -> None:
        self._store = store
        self._cache = recent
        self._room = room
        self._fetcher = fetcher

    def bring(self, job: JobRow, lease: Lease) -> Landed:
        """Store the photo that a job names elsewhere.  Raises what `bringing.bring` does."""
        return bringing.bring(self._store, self._fetcher, job, lease)

    def load(self, job: JobRow, wanted: type[Inputs]) -> Inputs:
        """Return the inputs of a stage for one job, its fields filled by their names.

        Raises ImageUnreadable or ImageTooLarge for the photo or its background,
        PhotoUnreachable or PictureLate for a background at an address, InputsExpired when the
        photo is gone, ArtifactsGone when something is that a stage can make again,
        StorageUnavailable, DatabaseUnavailable.
        """
        given: dict[str, Callable[[], object]] = {
            "photo": lambda: self._photo(_known(job)),
            "background": lambda: self._background(job),
            "collection": lambda: self._room.collection(job.tenant, job.recipe.background),
            "recipe": lambda: job.recipe,
            "seed": lambda: job.seed,
            "drawn": lambda: self._drawn(job),
            **{
                name: functools.partial(self._result, job, stage, made)
                for name, (stage, made) in _RESULTS.items()
            },
        }
        # mypy cannot see that `wanted` is a dataclass; every stage's Inputs is.
        fields = dataclasses.fields(wanted)  # type: ignore[arg-type]
        try:
            return wanted(**{field.name: given[field.name]() for field in fields})
        except ObjectMissing as error:
            raise self._gone(job, str(error)) from error

    def _gone(self, job: JobRow, missed: str) -> InputsExpired:
        """Return what to raise when an object is missed: all that is gone is told at once."""
        made = {
            key for stage in job.stages for key in (stage.result or {}).get("arrays", {}).values()
        }
        message = f"{missed} of job {job.id} is gone"
        if missed not in made:
            return InputsExpired(message)
        return ArtifactsGone(message, sorted(key for key in made if not self._store.has(key)))

    def keep(self, job: JobRow, lease: Lease, result: object) -> Kept:
        """Store what a stage made under its lease.

        Raises StorageUnavailable; what was stored until then is never named by a row, and
        removed when old days are cleared.
        """
        facts: dict[str, object] = {}
        arrays: dict[str, str] = {}
        files: dict[str, dict[str, object]] = {}
        made: type = type(result)
        # mypy cannot see that `result` is a dataclass; every result is.
        for field in dataclasses.fields(result):  # type: ignore[arg-type]
            value = getattr(result, field.name)
            key = functools.partial(keys.artifact, job.tenant, job.id, lease.stage, lease.token)
            if isinstance(value, np.ndarray):
                arrays[field.name] = key(f"{field.name}.npy")
                self._keep_array(arrays[field.name], value)
            elif isinstance(value, Encoded):
                files[field.name] = self._keep_file(key(f"{field.name}.{value.format}"), value)
            elif value is not None:
                adapter = _adapter(made, field.name)
                facts[field.name] = adapter.dump_python(value, mode="json")
        kinds = dict.fromkeys(arrays.values(), Kind.INTERMEDIATE)
        # Files that are no outputs show the photo: they go when it goes.
        kinds |= {
            str(file["key"]): Kind.RESULT if name in set(Output) else Kind.INTERMEDIATE
            for name, file in files.items()
        }
        return Kept(row={"facts": facts, "arrays": arrays, "files": files}, artifacts=kinds)

    def discard(self, keys_unnamed: Iterable[str]) -> None:
        """Remove objects that no row names.  Raises StorageUnavailable."""
        for key in keys_unnamed:
            self._store.remove(key)

    def _photo(self, key: str) -> Photo:
        return self._cache.get(key, lambda: _decoded(self._store.get(key)))

    def _background(self, job: JobRow) -> Photo | None:
        asked = job.recipe.background
        if asked.kind == BackgroundKind.URL and PICTURES & set(job.recipe.outputs):
            return self._fetched(job, asked.value or "")
        if job.background_key is None:
            return None
        try:
            return self._photo(job.background_key)
        except (ImageUnreadable, ImageTooLarge) as error:
            raise type(error)(f"the background file: {error}") from error

    def _fetched(self, job: JobRow, url: str) -> Photo:
        """Return the background at an address, fetched once for a job while memory has it."""
        try:
            return self._cache.get(
                f"{job.id} {url}", lambda: _decoded(self._fetcher.fetch(url).content)
            )
        except (PhotoUnreachable, PictureLate, ImageUnreadable, ImageTooLarge) as error:
            # Without its address: that of a presigned link is as good as a password.
            raise type(error)(f"the background at its address: {error}") from error

    def _drawn(self, job: JobRow) -> tuple[Drawn, ...]:
        """Return what people drew to correct the matte, in order."""
        return tuple(
            _drawing(one["form"], self._store.get(one["key"]))
            for one in job.corrections
            if one["key"] is not None
        )

    def _result(self, job: JobRow, stage: StageName, made: type) -> object | None:
        stored = job.result(stage)
        if stored is None:
            return None
        fields = {
            field.name: self._field(stored, made, field.name)
            for field in dataclasses.fields(made)
            # What an older worker did not know of yet has its default.
            if _is_known(stored, field)
        }
        value: object = made(**fields)
        return value

    def _field(self, stored: Json, made: type, name: str) -> object | None:
        if name in stored["arrays"]:
            return self._array(stored["arrays"][name])
        value: object | None = _adapter(made, name).validate_python(stored["facts"].get(name))
        return value

    def _array(self, key: str) -> NDArray[Any]:
        def fetch() -> tuple[NDArray[Any], int]:
            array = np.load(io.BytesIO(self._store.get(key)), allow_pickle=False)
            array.flags.writeable = False
            return array, array.nbytes

        return self._cache.get(key, fetch)

    def _keep_array(self, key: str, array: NDArray[Any]) -> None:
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        content = buffer.getvalue()
        self._store.put(key, content, length=len(content), media_type=_ARRAY_TYPE)
        array.flags.writeable = False
        self._cache.put(key, array, array.nbytes)

    def _keep_file(self, key: str, file: Encoded) -> dict[str, object]:
        self._store.put(key, file.content, length=len(file.content), media_type=file.media_type)
        return {
            "key": key,
            "media_type": file.media_type,
            "width": file.width,
            "height": file.height,
            "format": file.format,
            "bytes": len(file.content),
            "quality": file.quality,
            "blurhash": file.blurhash,
        }


def _known(job: JobRow) -> str:
    if job.photo_key is None:
        raise InputsExpired(f"the photo of job {job.id} was never brought")
    return job.photo_key


def _is_known(stored: Json, field: "dataclasses.Field[object]") -> bool:
    is_stored = field.name in stored["facts"] or field.name in stored["arrays"]
    return is_stored or field.default is dataclasses.MISSING


def _decoded(content: bytes) -> tuple[Photo, int]:
    """Return a picture that nobody can write to, and its size in bytes."""
    photo = images.decode(content)
    photo.srgb.flags.writeable = False
    return photo, photo.srgb.nbytes


def _drawing(form: str, content: bytes) -> Drawn:
    if form == "mask":
        return Drawn(mask=images.decode_mask(content))
    return Drawn(strokes=_STROKES.validate_json(content))


@functools.cache
def _adapter(made: type, name: str) -> TypeAdapter[Any]:
    return TypeAdapter(typing.get_type_hints(made)[name])
