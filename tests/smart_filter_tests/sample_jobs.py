"""Sample jobs for copying: one of every outcome, submitted over HTTP and run by hand."""

import base64
import uuid
from typing import Final

from smart_filter_shared.ids import Capability, Tenant
from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.queue.leases import Failure, Lease
from smart_filter_shared.storage import keys
from smart_filter_tests import claiming
from smart_filter_tests.bench import Bench
from smart_filter_tests.serving import Api, a_photo
from smart_filter_tests.stored_results import complete

PICTURE: Final = b"a picture of last week"
FAILURE: Final = Failure("model_failed", "A model failed", "ValueError in segmentation")
_NAVY: Final = {"background": "color:navy"}


def submit_every_outcome(api: Api, receiver: str) -> dict[str, list[uuid.UUID]]:
    """Return the ids of jobs by their outcome; for a batch, its own id first.

    receiver: the address that failed and canceled jobs name.
    """
    five = _submitted(api, background="auto")
    finish(api.bench)
    three = _submitted(api, **_NAVY)
    finish(api.bench)
    two = _submitted(api, background="keep")
    finish(api.bench)
    failed = _submitted(api, webhook_url=receiver, **_NAVY)
    _complete(api.bench, _claimed(api.bench))
    api.bench.work(WORKER.fail, _claimed(api.bench), FAILURE)
    canceled = _submitted(api, webhook_url=receiver, **_NAVY)
    assert api.client.post(f"/v1/jobs/{canceled}/cancel").is_success
    deleted = _submitted(api, background="keep")
    assert api.client.delete(f"/v1/jobs/{deleted}").is_success
    derived = api.client.post(
        f"/v1/jobs/{three}/derive", json={"recipe": {"background": "color:red"}}
    )
    assert derived.status_code == 202, derived.text
    finish(api.bench)
    return {
        "five stages": [five],
        "two stages": [two],
        "failed": [failed],
        "canceled": [canceled],
        "deleted": [deleted],
        "batch": _batch(api),
        "derived": [three, uuid.UUID(derived.json()["id"])],
        "three stages": [three],
    }


def finish(bench: Bench) -> None:
    """Complete all ready stages, and those that become ready."""
    while _ready(bench):
        _complete(bench, _claimed(bench))


def _submitted(api: Api, **fields: str) -> uuid.UUID:
    return uuid.UUID(api.submit(**fields))


def _batch(api: Api) -> list[uuid.UUID]:
    photo = base64.b64encode(a_photo()).decode()
    batch = {"items": [{"photo_base64": photo}] * 3, "recipe": {"background": "keep"}}
    shown = api.create("/v1/batches", json=batch)
    finish(api.bench)
    return [uuid.UUID(id_) for id_ in (shown["id"], *(item["job_id"] for item in shown["items"]))]


def _ready(bench: Bench) -> list[Capability]:
    rows = bench.rows("SELECT capability FROM stages WHERE state = 'ready'")
    return [Capability(row.capability) for row in rows]


def _claimed(bench: Bench) -> Lease:
    (lease,) = bench.work(claiming.claim, [_ready(bench)[0]], worker=bench.worker)
    return lease


def _complete(bench: Bench, lease: Lease) -> None:
    """Complete a stage, with its results in storage."""
    tenant = Tenant(bench.scalar("SELECT tenant FROM jobs WHERE id = :id", id=lease.job_id))
    folder = keys.artifact(tenant, lease.job_id, lease.stage, lease.token, "")
    complete(bench, lease, folder, PICTURE)
