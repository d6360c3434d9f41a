"""Build the keys of objects: the day comes first, so that a prefix lists the objects of a day.

    2026-11-20/<tenant>/<job id>/photo
    2026-11-20/<tenant>/<job id>/background
    2026-11-20/<tenant>/<job id>/corrections/<correction id>
    2026-11-20/<tenant>/<job id>/<stage>.<lease token>.<name>
    2026-11-20/<tenant>/<upload id>/upload
    2026-11-20/<tenant>/<job id>/data/<correction id>/<task>/<name>
    backgrounds/<random id>
    backgrounds/<random id>.thumbnail
    backgrounds/tenants/<random id>
    backgrounds/tenants/<random id>.thumbnail
    models/<digest>
    data/<task>/<version>.json
    installations/<id>

The lease token makes every key write-once: two workers on the same stage never write the same key.
The random id of a stored background does the same. Clients may overwrite the objects that they put
themselves.
"""

import datetime as dt
import re
import uuid

from smart_filter_shared.ids import CorrectionId, JobId, LeaseToken, Tenant, UploadId, day_of
from smart_filter_shared.pipeline import StageName

# Key prefix of stored backgrounds; sorts after all days.
BACKGROUND_PREFIX = "backgrounds/"
# Key suffix of their thumbnails.
THUMBNAIL_SUFFIX = ".thumbnail"
# Key prefix of trained weights.
WEIGHTS_PREFIX = "models/"
# Key prefix of the markers of databases that use the bucket.
INSTALLATION_PREFIX = "installations/"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}/")


def photo(tenant: Tenant, job_id: JobId) -> str:
    """Return the key of a job's upload."""
    return f"{job_prefix(tenant, job_id)}/photo"


def background(tenant: Tenant, job_id: JobId) -> str:
    """Return the key of the background that was uploaded with a job's photo."""
    return f"{job_prefix(tenant, job_id)}/background"


def correction(tenant: Tenant, job_id: JobId, correction_id: CorrectionId) -> str:
    """Return the key of a drawing that corrects a job's matte."""
    return f"{job_prefix(tenant, job_id)}/corrections/{correction_id}"


def artifact(tenant: Tenant, job_id: JobId, stage: StageName, token: LeaseToken, name: str) -> str:
    """Return the key of an artifact that a stage makes under a lease."""
    # No slashes: where objects are files, each folder takes as long to make as a small file.
    return f"{job_prefix(tenant, job_id)}/{stage}.{token}.{name}"


def upload(tenant: Tenant, upload_id: UploadId) -> str:
    """Return the key under which a client puts a photo."""
    return f"{day_of(upload_id).isoformat()}/{tenant}/{upload_id}/upload"


def new_background(tenant: Tenant | None) -> str:
    """Return a new key for a stored background; tenant: its owner, None: the operator.

    The folder of tenants is the only one that the API may write to (deploy/storage).
    """
    folder = BACKGROUND_PREFIX if tenant is None else f"{BACKGROUND_PREFIX}tenants/"
    return f"{folder}{uuid.uuid4()}"


def thumbnail(stock_key: str) -> str:
    """Return the key of the thumbnail of a stored background.  stock_key: the background's key."""
    return f"{stock_key}{THUMBNAIL_SUFFIX}"


def weights(digest: str) -> str:
    """Return the key of a file of trained weights; digest: SHA-256 of its bytes."""
    return f"{WEIGHTS_PREFIX}{digest}"


def example_file(
    tenant: Tenant, job_id: JobId, correction_id: CorrectionId, task: str, name: str
) -> str:
    """Return the key of a training file made of a correction; it is deleted with its job."""
    return f"{job_prefix(tenant, job_id)}/data/{correction_id}/{task}/{name}"


def manifest(task: str, version: int) -> str:
    """Return the key of the manifest of a data set's version."""
    return f"data/{task}/{version}.json"


def installation(installation_id: uuid.UUID) -> str:
    """Return the key of a database's marker in the bucket."""
    return f"{INSTALLATION_PREFIX}{installation_id}"


def day_of_folder(folder: str) -> dt.date | None:
    """Return the day of a folder of the bucket; None when the folder is not a day's.

    folder: such as `2026-11-20/`.
    """
    if not _DAY.fullmatch(folder):
        return None
    try:
        return dt.date.fromisoformat(folder.rstrip("/"))
    except ValueError:  # such as 2026-13-01
        return None


def tenant_of(key: str) -> Tenant:
    """Return the tenant that owns the object under a job's or an upload's key."""
    return Tenant(key.split("/")[1])


def job_prefix(tenant: Tenant, job_id: JobId) -> str:
    """Return the common prefix of the keys of a job's objects, without the slash at its end."""
    return f"{day_of(job_id).isoformat()}/{tenant}/{job_id}"
