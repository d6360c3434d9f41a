"""Move inputs and results of stages between memory, storage and rows.

A stage names its inputs by the fields of its `Inputs`, and its outputs by the fields of its
result. Arrays become PNG objects, encoded files objects of their own, and everything else
JSON in the stage's row:

    {"facts": {field: JSON}, "arrays": {field: key}, "files": {field: {"key", …}}}

The proxy of a photo is stored only if the photo is large and another stage is left to read it: else
it is made of the photo again, which costs less than moving it (docs/decisions/0016).
Recent arrays and decoded photos stay in a bounded memory cache, so that a worker that
serves several stages decodes a photo once.
"""

import dataclasses
import functools
import hashlib
import typing
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from smart_filter_shared.artifacts.retention import ArtifactKind
from smart_filter_shared.errors import (
    ArtifactsGone,
    ImageTooLarge,
    ImageUnreadable,
    InputsExpired,
    ObjectMissing,
    PhotoUnreachable,
    PictureTemporarilyUnreachable,
    Poison,
)
from smart_filter_shared.feedback.corrections import MAX_MASK_BYTES
from smart_filter_shared.feedback.face_changes import read_face_changes
from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs.queries import JobRow, Json
from smart_filter_shared.pipeline import PICTURE_OUTPUTS, PIPELINE, StageName
from smart_filter_shared.queue.leases import ImportedPhoto, Lease
from smart_filter_shared.recipe import BackgroundKind, Output
from smart_filter_shared.security.photo_header import MAX_PHOTO_BYTES
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import MAX_OBJECT_BYTES, ObjectStore
from smart_filter_shared.telemetry.logs import logger
from smart_filter_workers import images
from smart_filter_workers.artifacts import photo_import
from smart_filter_workers.decoder.pool import Decoder, Decoders
from smart_filter_workers.decoder.turns import Requester
from smart_filter_workers.fetcher import Fetcher
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import (
    RESULT_TYPES,
    Bytes,
    EncodedFile,
    Matte8,
    MatteDrawing,
    Photo,
    PreparedPhoto,
    Srgb8,
    Stroke,
)
from smart_filter_workers.stages.prepare.stage import make_upright_proxy
from smart_filter_workers.stock.tenant_backgrounds import TenantBackgrounds
from smart_filter_workers.system.lru_cache import LruCache

# The field of an `Inputs` that requests a stage's result, with the stage and the result's type.
_RESULTS: Mapping[str, tuple[StageName, type]] = {
    stage.result: (stage.name, RESULT_TYPES[stage.name]) for stage in PIPELINE
}
# The field of `PreparedPhoto` that can be made of the photo again. It is stored if the photo has at
# least this many pixels for each of its own: fetching and decoding it takes 15 ms, decoding and
# shrinking a photo of 12 megapixels 45 ms, one of 1 megapixel 4 ms.
_PROXY = "proxy_srgb"
_LARGE_PHOTO = 4
_log = logger("worker")
_STROKES = TypeAdapter(tuple[Stroke, ...])

Inputs = TypeVar("Inputs")
Value = TypeVar("Value")
Pixels = TypeVar("Pixels", Srgb8, Matte8)


@dataclasses.dataclass(frozen=True, slots=True)
class StoredResult:
    """The stored form of a result: the JSON for its row, and the objects by their keys.

    lengths: of the objects in bytes.
    """

    row: Mapping[str, object]
    artifacts: Mapping[str, ArtifactKind]
    lengths: Mapping[str, int]


class ArtifactStore:
    """Loads inputs of stages and stores their results; safe for threads.

    recent: the cache of decoded photos and arrays.
    backgrounds: reads backgrounds that are pictures.
    fetcher: fetches files that a job names by an address.
    decoders: decode the files that clients sent, and those that were fetched.
    """

    def __init__(
        self,
        store: ObjectStore,
        recent: LruCache,
        backgrounds: TenantBackgrounds,
        fetcher: Fetcher,
        decoders: Decoders,
    ) -> None:
        self._store = store
        self._decoders = decoders
        self._cache = recent
        self._backgrounds = backgrounds
        self._fetcher = fetcher

    def import_photo(self, job: JobRow, lease: Lease) -> ImportedPhoto:
        """Store the photo that a job names elsewhere.  Raises what `import_photo` raises."""
        return photo_import.import_photo(self._store, self._fetcher, job, lease)

    def import_take(
        self,
        job: JobRow,
        lease: Lease,
        shots: Mapping[JobId, JobRow | None],
        requester: Requester,
    ) -> ImportedPhoto:
        """Store the photo of a take.  Raises what `take_import.import_take` raises."""
        decoder = self._decoders.for_requester(requester)
        load = functools.partial(self._photo, decoder=decoder)
        return photo_import.import_take(self._store, load, job, lease, shots)

    def load(
        self,
        job: JobRow,
        wanted: type[Inputs],
        results: Mapping[StageName, object] = MappingProxyType({}),
        *,
        requester: Requester | None = None,
    ) -> Inputs:
        """Return the inputs of a stage for one job, its fields filled by their names.

        results: of stages that have run in this process and are not stored yet.
        requester: for whom pictures are decoded; None: the job's tenant, who waits.
        Raises ImageUnreadable, ImageTooLarge or Poison for the photo or its background,
        PhotoUnreachable or PictureTemporarilyUnreachable for a background at an address,
        InputsExpired when the photo is gone, ArtifactsGone when an object is missing that a stage
        can make again, StorageUnavailable, DatabaseUnavailable, DecoderUnavailable.
        """
        decoder = self._decoders.for_requester(requester or Requester(job.tenant))
        given: dict[str, Callable[[], object]] = {
            "photo": lambda: self._photo(job, decoder),
            "background": lambda: self._background(job, decoder),
            "collection": lambda: self._backgrounds.collection(
                job.tenant, job.recipe.background, decoder
            ),
            "logo": lambda: self._logo(job, decoder),
            "recipe": lambda: job.recipe,
            "seed": lambda: job.seed,
            "take": lambda: None if job.take is None else job.take.report,
            "drawn": lambda: self._drawn(job, decoder),
            "changes": lambda: read_face_changes(job.corrections),
            **{
                name: functools.partial(self._result, job, stage, made, decoder)
                for name, (stage, made) in _RESULTS.items()
                if stage not in results
            },
            **{
                name: functools.partial(_freeze, results[stage])
                for name, (stage, _) in _RESULTS.items()
                if stage in results
            },
        }
        # mypy cannot see that `wanted` is a dataclass; every stage's Inputs is.
        fields = dataclasses.fields(wanted)  # type: ignore[arg-type]
        try:
            return wanted(**{field.name: given[field.name]() for field in fields})
        except ObjectMissing as error:
            raise self._missing_objects_error(job, str(error)) from error

    def _missing_objects_error(self, job: JobRow, missed: str) -> ArtifactsGone:
        """Return the error for a missing object; it lists all missing objects that stages made."""
        made = {
            key for stage in job.stages for key in (stage.result or {}).get("arrays", {}).values()
        }
        gone = {missed, *(key for key in made if not self._store.has(key))}
        return ArtifactsGone(f"{missed} of job {job.id} is gone", sorted(gone))

    def store(
        self, job: JobRow, lease: Lease, result: object, *, is_read_again: bool = True
    ) -> StoredResult:
        """Store the result of a stage under its lease, and return its stored form.

        is_read_again: whether unfinished stages will read it.
        Raises StorageUnavailable; no row names the objects stored before, so the garbage collector
        removes them later.
        """
        facts: dict[str, object] = {}
        arrays: dict[str, str] = {}
        files: dict[str, dict[str, object]] = {}
        lengths: dict[str, int] = {}
        made: type = type(result)
        # mypy cannot see that `result` is a dataclass; every result is.
        for field in dataclasses.fields(result):  # type: ignore[arg-type]
            value = getattr(result, field.name)
            key = functools.partial(keys.artifact, job.tenant, job.id, lease.stage, lease.token)
            if (
                isinstance(result, PreparedPhoto)
                and field.name == _PROXY
                and (_is_small(result) or not is_read_again)
            ):
                self._keep_array(_proxy_key(job, result.quarter_turns), result.proxy_srgb)
            elif isinstance(value, np.ndarray):
                arrays[field.name] = name = key(f"{field.name}.png")
                lengths[name] = self._store_array(name, value)
            elif isinstance(value, EncodedFile):
                name = key(f"{field.name}.{value.format}")
                files[field.name] = self._store_file(name, value)
                lengths[name] = len(value.content)
            elif value is not None:
                adapter = _adapter(made, field.name)
                # JSON of an answer would round it.
                facts[field.name] = to_jsonable_python(adapter.dump_python(value))
        kinds = dict.fromkeys(arrays.values(), ArtifactKind.INTERMEDIATE)
        # Files that are no outputs show the photo, so they expire with it.
        kinds |= {
            str(file["key"]): ArtifactKind.RESULT
            if name in set(Output)
            else ArtifactKind.INTERMEDIATE
            for name, file in files.items()
        }
        row = {"facts": facts, "arrays": arrays, "files": files}
        return StoredResult(row, kinds, lengths)

    def discard(self, keys_unnamed: Iterable[str]) -> None:
        """Remove objects that no row names.  Raises StorageUnavailable."""
        for key in keys_unnamed:
            self._store.remove(key)

    def _photo(self, job: JobRow, decoder: Decoder) -> Photo:
        key = _require_photo_key(job)
        return self._cache.get(key, lambda: _decode_photo(self._submitted_bytes(job, key), decoder))

    def _submitted_bytes(self, job: JobRow, key: str) -> bytes:
        """Return the bytes of a job's photo; a damaged object counts as missing."""
        content = self._store.get(key, most=MAX_OBJECT_BYTES)
        if job.photo_digest not in {None, hashlib.sha256(content).hexdigest()}:
            _log.warning("photo_damaged", key=key)
            raise ObjectMissing(key)
        return content

    def _background(self, job: JobRow, decoder: Decoder) -> Photo | None:
        asked = job.recipe.background
        if asked.kind == BackgroundKind.URL and PICTURE_OUTPUTS & set(job.recipe.outputs):
            return self._fetched(job, asked.value or "", decoder)
        if job.background_key is None:
            return None
        try:
            key = job.background_key
            return self._cache.get(
                key, lambda: _decode_photo(self._store.get(key, most=MAX_PHOTO_BYTES), decoder)
            )
        except (ImageUnreadable, ImageTooLarge, Poison) as error:
            raise type(error)(f"the background file: {error}") from error

    def _logo(self, job: JobRow, decoder: Decoder) -> Bytes | None:
        if not PICTURE_OUTPUTS & set(job.recipe.outputs):
            return None
        return self._backgrounds.logo(job.tenant, job.recipe.logo, decoder)

    def _fetched(self, job: JobRow, url: str, decoder: Decoder) -> Photo:
        """Return the background at an address; the memory cache keeps it for its job."""
        try:
            return self._cache.get(
                f"{job.id} {url}",
                lambda: _decode_photo(self._fetcher.fetch(url).content, decoder),
            )
        except (
            PhotoUnreachable,
            PictureTemporarilyUnreachable,
            ImageUnreadable,
            ImageTooLarge,
            Poison,
        ) as error:
            # Without the address: that of a presigned link is as good as a password.
            raise type(error)(f"the background at its address: {error}") from error

    def _drawn(self, job: JobRow, decoder: Decoder) -> tuple[MatteDrawing, ...]:
        """Return the drawn corrections of the matte, in order."""
        return tuple(
            dataclasses.replace(
                _read_drawing(
                    correction["form"],
                    self._store.get(correction["key"], most=MAX_MASK_BYTES),
                    decoder,
                ),
                as_sent=correction.get("as_sent", False),
            )
            for correction in job.corrections
            if correction["key"] is not None
        )

    def _result(self, job: JobRow, stage: StageName, made: type, decoder: Decoder) -> object | None:
        stored = job.result(stage)
        if stored is None:
            return None
        fields = {
            field.name: self._field(job, stored, made, field.name, decoder)
            for field in dataclasses.fields(made)
            # Files, such as previews, are not loaded.
            if field.name in stored["facts"]
            or field.name in stored["arrays"]
            or field.default is dataclasses.MISSING
        }
        value: object = made(**fields)
        return value

    def _field(
        self, job: JobRow, stored: Json, made: type, name: str, decoder: Decoder
    ) -> object | None:
        if name in stored["arrays"]:
            return self._array(stored["arrays"][name])
        if name == _PROXY:
            return self._proxy(job, int(stored["facts"]["quarter_turns"]), decoder)
        value: object | None = _adapter(made, name).validate_python(stored["facts"].get(name))
        return value

    def _proxy(self, job: JobRow, quarter_turns: int, decoder: Decoder) -> Srgb8:
        def make() -> tuple[Srgb8, int]:
            photo = self._photo(job, decoder)
            return _read_only(make_upright_proxy(photo.srgb, quarter_turns))

        return self._cache.get(_proxy_key(job, quarter_turns), make)

    def _array(self, key: str) -> Srgb8 | Matte8:
        return self._cache.get(key, lambda: _read_only(self._read_array(key)))

    def _read_array(self, key: str) -> Srgb8 | Matte8:
        """Return (h, w[, 3]) uint8; remove a damaged object, so that its stage makes it again."""
        content = np.frombuffer(self._store.get(key, most=MAX_OBJECT_BYTES), np.uint8)
        array = cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if content.size else None
        if array is None:
            self._store.remove(key)
            raise ObjectMissing(key)
        ordered = array if array.ndim == 2 else cv2.cvtColor(array, cv2.COLOR_BGR2RGB)  # noqa: PLR2004 - gray
        return np.asarray(ordered, np.uint8)

    def _store_array(self, key: str, array: Matte8) -> int:
        """Store an array and keep it in memory; return the bytes of its file."""
        file = images.encode_png(array)
        self._store.put(key, file.content, length=len(file.content), media_type=file.media_type)
        self._keep_array(key, array)
        return len(file.content)

    def _keep_array(self, key: str, array: Srgb8 | Matte8) -> None:
        self._cache.put(key, *_read_only(array))

    def _store_file(self, key: str, file: EncodedFile) -> dict[str, object]:
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


def _decode_photo(content: bytes, decoder: Decoder) -> tuple[Photo, int]:
    """Return a read-only picture, and its size in bytes."""
    photo = decoder.decode(content)
    planes = [plane for plane in (photo.srgb, photo.alpha) if plane is not None]
    return photo, sum(_read_only(plane)[1] for plane in planes)


def _read_drawing(form: str, content: bytes, decoder: Decoder) -> MatteDrawing:
    if form == "mask":
        return MatteDrawing(mask=decoder.decode_mask(content))
    return MatteDrawing(strokes=_STROKES.validate_json(content))


def _require_photo_key(job: JobRow) -> str:
    if job.photo_key is None:
        raise InputsExpired(f"the photo of job {job.id} was never imported")
    return job.photo_key


def _is_small(prepared: PreparedPhoto) -> bool:
    """Return whether making the proxy of the photo again costs less than storing it."""
    height, width = prepared.proxy_srgb.shape[:2]
    return bool(prepared.width * prepared.height < _LARGE_PHOTO * width * height)


def _proxy_key(job: JobRow, quarter_turns: int) -> str:
    return f"{job.photo_key} proxy {quarter_turns}"


def _freeze(result: object) -> object:
    """Return a result whose arrays are read-only, as loaded ones are."""
    # mypy cannot see that `result` is a dataclass; every result is.
    for field in dataclasses.fields(result):  # type: ignore[arg-type]
        value = getattr(result, field.name)
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
    return result


def _read_only(array: Pixels) -> tuple[Pixels, int]:
    """Return the array, read-only, and its size in bytes."""
    array.flags.writeable = False
    return array, array.nbytes


@functools.cache
def _adapter(made: type, name: str) -> TypeAdapter[Any]:
    return TypeAdapter(typing.get_type_hints(made)[name])
