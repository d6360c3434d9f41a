"""Import photos that a job names: from an address on the web, or from a client's upload.

An imported photo is stored under a key of the lease. Later stages read only that object, so they
do not depend on the source any more.
"""

import hashlib
import io

from smart_filter_shared.artifacts.uploads import UploadRef
from smart_filter_shared.errors import (
    ImageTooLarge,
    InputsExpired,
    InvalidInput,
    ObjectMissing,
    ObjectReplaced,
    ObjectTooLarge,
    PhotoUnreachable,
    PictureTemporarilyUnreachable,
)
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.queue.leases import ImportedPhoto, Lease
from smart_filter_shared.security import photo_header
from smart_filter_shared.security.photo_header import MAX_PHOTO_BYTES
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_workers.fetcher import Fetcher

# The content has not been inspected yet, and the server's own statement is not trusted.
_MEDIA_TYPE = "application/octet-stream"


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
