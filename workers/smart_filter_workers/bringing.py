"""Brings photos that a job names: from an address on the web, or from where a client put them.

What is brought lies under a key of the lease from then on. No later stage looks at the source
again, so that whatever becomes of it meanwhile changes nothing.
"""

import hashlib
from dataclasses import dataclass

from smart_filter_shared.errors import (
    ImageTooLarge,
    InputsExpired,
    ObjectMissing,
    PhotoUnreachable,
    PictureLate,
)
from smart_filter_shared.jobs.leases import Lease
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.jobs.uploads import Named
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_workers.fetcher import Fetcher

# What it is, nobody has looked yet; what a server says of it does not count.
_MEDIA_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Landed:
    """A photo that lies in storage now.  digest: lower-case hex SHA-256 of its bytes."""

    key: str
    digest: str


def bring(store: ObjectStore, fetcher: Fetcher, job: JobRow, lease: Lease) -> Landed:
    """Store the photo that a job names.

    Raises PhotoUnreachable, PictureLate or ImageTooLarge for one at an address, InputsExpired
    when an upload is gone or another by now, StorageUnavailable. Their messages hold no address.
    """
    if job.photo_url is not None:
        content = _fetched(fetcher, job.photo_url)
    elif job.upload is not None:
        content = _taken(store, job, job.upload)
    else:
        raise InputsExpired(f"job {job.id} names no photo")
    key = keys.artifact(job.tenant, job.id, lease.stage, lease.token, "photo")
    store.put(key, content, length=len(content), media_type=_MEDIA_TYPE)
    return Landed(key, hashlib.sha256(content).hexdigest())


def _fetched(fetcher: Fetcher, url: str) -> bytes:
    try:
        return fetcher.fetch(url).content
    except (PhotoUnreachable, PictureLate, ImageTooLarge) as error:
        # Without its address: that of a presigned link is as good as a password.
        raise type(error)(f"the photo at its address: {error}") from error


def _taken(store: ObjectStore, job: JobRow, upload: Named) -> bytes:
    try:
        found = store.get_tagged(keys.upload(job.tenant, upload.id))
    except ObjectMissing as error:
        raise InputsExpired(
            f"upload {upload.id} is not there any more; put the photo into a new one and submit "
            "that"
        ) from error
    if found.etag != upload.etag:
        raise InputsExpired(
            f"something else was put into upload {upload.id} after this job was submitted; put "
            "the photo into a new one and submit that"
        )
    return found.content
