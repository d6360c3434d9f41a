"""Import photos that a job names: from an address on the web, or from a client's upload.

An imported photo is stored under a key of the lease. Later stages read only that object, so they
do not depend on the source any more.

Compose the photo of a take of the shots of its batch, for `prepare` to import.

A take without a replaced face is the base's own file, whose pixels no encoder has touched.
"""

import functools
import hashlib
import io
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from smart_filter_shared import best_shot
from smart_filter_shared.artifacts.uploads import UploadRef
from smart_filter_shared.errors import (
    ImageTooLarge,
    ImageUnreadable,
    InputsExpired,
    InvalidInput,
    ObjectMissing,
    ObjectReplaced,
    ObjectTooLarge,
    PhotoUnreachable,
    PictureTemporarilyUnreachable,
    RowUnreadable,
)
from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue.leases import ImportedPhoto, Lease
from smart_filter_shared.results import Face, Faces, PreparedFacts, Smiles, read_facts
from smart_filter_shared.security import photo_header
from smart_filter_shared.security.photo_header import MAX_PHOTO_BYTES
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import MAX_OBJECT_BYTES, ObjectStore
from smart_filter_workers import images
from smart_filter_workers.best_take.compose import Head, Shot, compose_take
from smart_filter_workers.fetcher import Fetcher
from smart_filter_workers.images import EncodingOptions
from smart_filter_workers.results import Photo, Srgb8

# The content has not been inspected yet, and the server's own statement is not trusted.
_MEDIA_TYPE = "application/octet-stream"

# Bounds memory and time: shots of 24 megapixels, as large cameras take, keep their size.
MAX_MEGAPIXELS: Final = 24.0
# The base, the picture, a shot, and the levels of a large head, in photos of the same size.
ROOM_PHOTOS: Final = 4
# The picture is encoded once more for the outputs.
_QUALITY: Final = 97

Rows = Mapping[JobId, JobRow | None]
Loader = Callable[[JobRow], Photo]


def import_photo(store: ObjectStore, fetcher: Fetcher, job: JobRow, lease: Lease) -> ImportedPhoto:
    """Store the photo that a job names, and return its key and digest.

    Raises PhotoUnreachable, PictureTemporarilyUnreachable or ImageTooLarge for a photo at a URL,
    InputsExpired when an upload is gone or was replaced, StorageUnavailable. Their messages hold no
    URL.
    """
    if job.photo_url is not None:
        content = _fetch_url(fetcher, job.photo_url)
    elif job.upload is not None:
        content = _read_upload(store, job, job.upload)
    else:
        raise InputsExpired(f"job {job.id} names no photo")
    key = keys.artifact(job.tenant, job.id, lease.stage, lease.token, "photo")
    store.put(key, content, length=len(content), media_type=_MEDIA_TYPE)
    digest = hashlib.sha256(content).hexdigest()
    return ImportedPhoto(key, digest, megapixels=_megapixels(content), length=len(content))


def _megapixels(content: bytes) -> float:
    """Return the size by the photo's header; 0 if there is none, as decoding then says."""
    try:
        header = photo_header.read_header(io.BytesIO(content))
    except InvalidInput:
        return 0.0
    return header.width * header.height / 1e6


def _fetch_url(fetcher: Fetcher, url: str) -> bytes:
    try:
        return fetcher.fetch(url).content
    except (PhotoUnreachable, PictureTemporarilyUnreachable, ImageTooLarge) as error:
        # Without the address: that of a presigned link is as good as a password.
        raise type(error)(f"the photo at its address: {error}") from error


def _read_upload(store: ObjectStore, job: JobRow, upload: UploadRef) -> bytes:
    key = keys.upload(job.tenant, upload.id)
    try:
        return store.get(key, most=MAX_PHOTO_BYTES, etag=upload.etag)
    except (ObjectReplaced, ObjectTooLarge) as error:
        raise InputsExpired(
            f"upload {upload.id} was replaced after this job was submitted; put the photo into "
            "a new one and submit that"
        ) from error
    except ObjectMissing as error:
        raise InputsExpired(
            f"upload {upload.id} no longer exists; put the photo into a new one and submit that"
        ) from error


def get_largest_megapixels(rows: Rows) -> float:
    """Return the megapixels of the largest shot."""
    return max((row.megapixels for row in rows.values() if row is not None), default=0.0)


def import_take(
    store: ObjectStore, load: Loader, job: JobRow, lease: Lease, rows: Rows
) -> ImportedPhoto:
    """Store the photo of a take, and return its key, digest and report.

    load: returns a job's photo, decoded.  rows: the jobs of the shots.
    Raises ImageUnreadable when no shot is left, InputsExpired when the base of chosen faces is
    gone, ObjectMissing for one that was deleted meanwhile,
    StorageUnavailable, and what `load` raises.
    """
    take = job.take
    if take is None:
        raise RowUnreadable(f"job {job.id} has no take")
    shots, notes = [], []
    for listed in take.shots:
        row = rows.get(listed.job_id)
        shot = None if row is None else _read_shot(store, load, row, listed.item)
        if shot is None:
            notes.append(f"Photo {listed.item + 1} was not used: it was deleted.")
        else:
            shots.append(shot)
    if take.chosen and (not shots or shots[0].item != take.shots[0].item):
        raise InputsExpired(
            "the photo whose persons were numbered for the take is not kept any more"
        )
    if not shots:
        raise ImageUnreadable(
            "none of the batch's photos could be used for the take: they failed, or were canceled"
            " or deleted"
        )
    srgb, report = compose_take(shots, take.chosen)
    report = replace(report, notes=(*notes, *report.notes))
    base = next(rows[shot.job_id] for shot in take.shots if shot.item == report.base)
    assert base is not None, "its shot was read"
    if report.swaps:
        content, media_type = _encode(srgb, load(base).exif)
    else:
        content = store.get(_photo_key(base), most=MAX_OBJECT_BYTES)
        media_type = "application/octet-stream"
    key = keys.artifact(job.tenant, job.id, lease.stage, lease.token, "photo")
    store.put(key, content, length=len(content), media_type=media_type)
    return ImportedPhoto(
        key,
        hashlib.sha256(content).hexdigest(),
        megapixels=srgb.shape[0] * srgb.shape[1] / 1e6,
        length=len(content),
        take=replace(take, report=report).as_json(),
    )


def _read_shot(store: ObjectStore, load: Loader, row: JobRow, item: int) -> Shot | None:
    """Return a shot, or None when its photo or its results are gone."""
    prepared = read_facts(row.result(StageName.PREPARE), PreparedFacts)
    faces = read_facts(row.result(StageName.FACE), Faces)
    smiles = read_facts(row.result(StageName.SMILE), Smiles)
    if prepared is None or faces is None or smiles is None:
        return None
    if row.photo_key is None or not store.has(row.photo_key):
        return None
    scale = _scale(prepared.width, prepared.height)
    counted = best_shot.list_counted(faces.faces)
    faults = best_shot.measure_faces(faces.faces, smiles, size=(prepared.width, prepared.height))
    heads = tuple(
        Head(_shrink_face(faces.faces[index], scale), smiles.eyes[index], fault)
        for index, fault in zip(counted, faults, strict=True)
    )
    return Shot(item, functools.partial(_load, load, row, prepared.quarter_turns), heads)


def _load(load: Loader, row: JobRow, quarter_turns: int) -> Srgb8:
    """Return a shot upright, as large as a take may be."""
    srgb = load(row).srgb
    height, width = srgb.shape[:2]
    scale = _scale(width, height)
    size = {"width": round(scale * width), "height": round(scale * height)}
    return images.rotate_quarter_turns(images.downscale_by_area(srgb, **size), quarter_turns)


def _scale(width: int, height: int) -> float:
    """Return the factor by which shots of a size are shrunk, at most 1."""
    return min(1.0, math.sqrt(MAX_MEGAPIXELS * 1e6 / (width * height)))


def _shrink_face(face: Face, scale: float) -> Face:
    x, y, width, height = (scale * length for length in face.box)
    first, second, third, fourth, fifth = ((scale * x, scale * y) for x, y in face.landmarks)
    return replace(face, box=(x, y, width, height), landmarks=(first, second, third, fourth, fifth))


def _encode(srgb: Srgb8, exif: bytes) -> tuple[bytes, str]:
    if max(srgb.shape) > images.MAX_JPEG_SIDE_PX:
        file = images.encode_png(srgb)
    else:
        file = images.encode(srgb, EncodingOptions("jpg", quality=_QUALITY, exif=exif))
    return file.content, file.media_type


def _photo_key(row: JobRow) -> str:
    assert row.photo_key is not None, "its shot was read"
    return row.photo_key
