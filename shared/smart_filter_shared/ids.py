"""Types of identifiers, so that mypy rejects one in place of another."""

import datetime as dt
import uuid
from typing import NewType

import uuid_utils.compat

JobId = NewType("JobId", uuid.UUID)
BatchId = NewType("BatchId", uuid.UUID)
Tenant = NewType("Tenant", str)
LeaseToken = NewType("LeaseToken", uuid.UUID)
WorkerId = NewType("WorkerId", uuid.UUID)
WebhookId = NewType("WebhookId", uuid.UUID)
DeliveryId = NewType("DeliveryId", uuid.UUID)
UploadId = NewType("UploadId", uuid.UUID)
CorrectionId = NewType("CorrectionId", uuid.UUID)
Capability = NewType("Capability", str)

# The operator's tenant, which owns the embedded stack's key. It has no quotas and administers all
# other tenants.
OPERATOR = Tenant("local")


def new_job_id() -> JobId:
    """Return a fresh UUIDv7 (RFC 9562 §5.7): ids sort by creation and name their day."""
    return JobId(uuid_utils.compat.uuid7())


def new_batch_id() -> BatchId:
    """Return a fresh UUIDv7: batches sort by creation."""
    return BatchId(uuid_utils.compat.uuid7())


def new_worker_id() -> WorkerId:
    """Return a fresh random id for a starting worker process."""
    return WorkerId(uuid.uuid4())


def new_webhook_id() -> WebhookId:
    """Return a fresh UUIDv7: webhooks sort by creation."""
    return WebhookId(uuid_utils.compat.uuid7())


def new_delivery_id() -> DeliveryId:
    """Return a fresh random id, by which receivers deduplicate deliveries."""
    return DeliveryId(uuid.uuid4())


def new_upload_id() -> UploadId:
    """Return a fresh UUIDv7: storage keys of uploads and jobs begin with its day."""
    return UploadId(uuid_utils.compat.uuid7())


def new_correction_id() -> CorrectionId:
    """Return a fresh UUIDv7: corrections sort by creation."""
    return CorrectionId(uuid_utils.compat.uuid7())


def first_id(moment: dt.datetime) -> uuid.UUID:
    """Return the lowest UUIDv7 that can have been made since a moment.  Source: RFC 9562, 5.7."""
    return uuid.UUID(int=max(0, int(moment.timestamp() * 1000)) << 80)


def day_of(made: JobId | UploadId) -> dt.date:
    """Return the UTC day on which an id was created: its first 48 bits are Unix milliseconds.

    An id that a caller made up may name a moment that dates cannot have: the last date then.
    """
    milliseconds = made.int >> 80
    try:
        return dt.datetime.fromtimestamp(milliseconds / 1000, tz=dt.UTC).date()
    except ValueError:  # after the year 9999
        return dt.date.max
