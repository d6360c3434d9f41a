"""The keys of objects: the day first, so that old days are listed by their prefix.

    2026-11-20/<tenant>/<job id>/photo
    2026-11-20/<tenant>/<job id>/background
    2026-11-20/<tenant>/<job id>/corrections/<correction id>
    2026-11-20/<tenant>/<job id>/<stage>/<lease token>/<name>
    2026-11-20/<tenant>/<upload id>/upload
    2026-11-20/<tenant>/<job id>/data/<correction id>/<task>/<name>
    backgrounds/<random id>
    backgrounds/<random id>.thumbnail
    models/<digest>
    data/<task>/<version>.json
    installations/<id>

The lease token makes every key written once: two workers on the same stage never meet. So does
the random id of a background that is kept. What clients put themselves they may put again.
"""

import datetime as dt
import re
import uuid

from smart_filter_shared.ids import CorrectionId, JobId, LeaseToken, Tenant, UploadId, day_of
from smart_filter_shared.pipeline import StageName

# What the keys of backgrounds that are kept begin with; behind all days.
STOCK = "backgrounds/"
# What keys of their thumbnails end with.
THUMBNAIL = ".thumbnail"
# And those of trained weights.
WEIGHTS = "models/"
# And those of the markers of databases that use the bucket.
INSTALLATIONS = "installations/"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}/")


def photo(tenant: Tenant, job_id: JobId) -> str:
    """Return the key of a job's upload."""
    return f"{job(tenant, job_id)}/photo"


def background(tenant: Tenant, job_id: JobId) -> str:
    """Return the key of the background that was uploaded with a job's photo."""
    return f"{job(tenant, job_id)}/background"


def correction(tenant: Tenant, job_id: JobId, correction_id: CorrectionId) -> str:
    """Return the key of what somebody drew to correct a job's matte."""
    return f"{job(tenant, job_id)}/corrections/{correction_id}"


def artifact(tenant: Tenant, job_id: JobId, stage: StageName, token: LeaseToken, name: str) -> str:
    """Return the key of something that a stage makes under a lease."""
    return f"{job(tenant, job_id)}/{stage}/{token}/{name}"


def upload(tenant: Tenant, upload_id: UploadId) -> str:
    """Return the key that a client puts a photo under."""
    return f"{day_of(upload_id).isoformat()}/{tenant}/{upload_id}/upload"


def stock() -> str:
    """Return a new key for a background that is kept."""
    return f"{STOCK}{uuid.uuid4()}"


def thumbnail(stock_key: str) -> str:
    """Return the key of the thumbnail of a background that is kept under another."""
    return f"{stock_key}{THUMBNAIL}"


def weights(digest: str) -> str:
    """Return the key of a file of trained weights; digest: SHA-256 of its bytes."""
    return f"{WEIGHTS}{digest}"


def item(tenant: Tenant, job_id: JobId, correction_id: CorrectionId, task: str, name: str) -> str:
    """Return the key of a file that a correction becomes in data sets; it goes with its job."""
    return f"{job(tenant, job_id)}/data/{correction_id}/{task}/{name}"


def manifest(task: str, version: int) -> str:
    """Return the key of what a version of a data set holds."""
    return f"data/{task}/{version}.json"


def installation(installation_id: uuid.UUID) -> str:
    """Return the key of the marker of the database that a bucket belongs to."""
    return f"{INSTALLATIONS}{installation_id}"


def day_of_folder(folder: str) -> dt.date | None:
    """Return the day whose objects a folder of the bucket holds; None when it is not a day's.

    folder: such as `2026-11-20/`.
    """
    if not _DAY.fullmatch(folder):
        return None
    try:
        return dt.date.fromisoformat(folder.rstrip("/"))
    except ValueError:  # such as 2026-13-01
        return None


def tenant_of(key: str) -> Tenant:
    """Return whose object lies under a key of ours."""
    return Tenant(key.split("/")[1])


def job(tenant: Tenant, job_id: JobId) -> str:
    """Return what the keys of all objects of a job begin with, before a slash."""
    return f"{day_of(job_id).isoformat()}/{tenant}/{job_id}"
