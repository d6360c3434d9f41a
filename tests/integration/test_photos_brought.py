"""Photos that jobs name by an address or upload: what the database keeps, and how long."""

import pytest
from sqlalchemy import text

from smart_filter_shared.errors import InputsExpired
from smart_filter_shared.ids import JobId, UploadId, new_upload_id
from smart_filter_shared.jobs import limits, retention, transitions, uploads
from smart_filter_shared.jobs.leases import Brought, Completion, Done, Failure, Lease
from smart_filter_shared.jobs.retention import Kind
from smart_filter_shared.jobs.uploads import Named
from smart_filter_shared.pipeline import StageName
from smart_filter_tests import races
from smart_filter_tests.bench import KEEPING, TENANT, Bench

AWAY = Failure("photo_unreachable", "It cannot be fetched", "404")
PHOTO = Brought("a/key", "digest", 12.5)
URL = "https://example.com/a?secret"


def promised(bench: Bench) -> UploadId:
    return bench.do(uploads.write, TENANT, new_upload_id(), media_type="image/jpeg", length=5).id


def named(bench: Bench, upload_id: UploadId | None = None) -> JobId:
    """Submit a job that names an upload, or an address."""
    upload = None if upload_id is None else Named(upload_id, "etag")
    return bench.submit_elsewhere(photo_url=None if upload else URL, upload=upload)


def fail(bench: Bench) -> None:
    lease = bench.claim_one(StageName.PREPARE)
    bench.do(transitions.fail, lease, AWAY)


def fetch(bench: Bench, lease: Lease) -> Completion:
    """End the stage that brought a photo."""
    done = Done(lease, {}, 0.1, {PHOTO.key: Kind.PHOTO}, PHOTO)
    return bench.do(transitions.complete, [done], KEEPING)


def redrive(bench: Bench, job_id: JobId) -> None:
    bench.do(transitions.redrive, job_id, TENANT)


def expire(bench: Bench) -> None:
    bench.execute("UPDATE uploads SET expires_at = now() - interval '2 minutes'")
    bench.do(uploads.mark_expired, most=10)


def marked(bench: Bench) -> int:
    return int(bench.scalar("SELECT count(*) FROM uploads WHERE marked_at IS NOT NULL"))


def test_fetched_photo_replaces_its_address(bench: Bench) -> None:
    job_id = named(bench)
    assert (bench.job(job_id).photo_key, bench.job(job_id).photo_url) == (None, URL)
    lease = bench.claim_one(StageName.PREPARE)

    fetch(bench, lease)

    assert (bench.job(job_id).photo_key, bench.job(job_id).photo_url) == (PHOTO.key, None)
    assert bench.do(retention.is_kept, TENANT, PHOTO.key)
    assert bench.scalar("SELECT (photo_digest, megapixels) = ('digest', 12.5) FROM jobs")


def test_photo_fetched_under_a_lost_lease_is_dropped(bench: Bench) -> None:
    job_id = named(bench)
    lease = bench.claim_one(StageName.PREPARE)
    bench.do(transitions.cancel, job_id, TENANT)

    late = fetch(bench, lease)

    assert (late.lost, bench.job(job_id).photo_key) == ([lease], None)


def test_photo_at_an_address_is_prepared_alone(bench: Bench) -> None:
    elsewhere = [named(bench), named(bench)]
    here = [bench.submit(), bench.submit()]

    batches = [bench.claim(StageName.PREPARE, batch_size=8) for _ in range(3)]

    claimed = sorted(sorted(lease.job_id for lease in batch) for batch in batches)
    assert claimed == sorted([[elsewhere[0]], [elsewhere[1]], sorted(here)])


def test_failed_job_takes_its_upload_again_while_it_is_there(bench: Bench) -> None:
    job_id = named(bench, promised(bench))
    fail(bench)
    redrive(bench, job_id)
    fail(bench)
    expire(bench)

    with pytest.raises(InputsExpired):
        redrive(bench, job_id)


def test_job_that_has_its_photo_does_not_keep_the_upload(bench: Bench) -> None:
    named(bench, promised(bench))
    expire(bench)
    before = marked(bench)
    lease = bench.claim_one(StageName.PREPARE)
    fetch(bench, lease)

    expire(bench)

    assert (before, marked(bench)) == (0, 1)


def test_upload_goes_with_its_jobs_though_they_are_deleted_at_once(bench: Bench) -> None:
    upload_id = promised(bench)
    job_ids = [named(bench, upload_id) for _ in range(2)]

    def delete(job_id: JobId) -> None:
        bench.do(transitions.delete, job_id, TENANT)

    races.at_once([lambda one=one: delete(one) for one in job_ids])  # type: ignore[misc]  # binds the loop's variable

    assert marked(bench) == 1


def test_upload_that_is_being_named_is_not_marked_meanwhile(bench: Bench) -> None:
    upload_id = promised(bench)
    first = named(bench, upload_id)

    with bench.transaction() as connection:
        held = uploads.hold(connection, upload_id, TENANT)
        expire_others = pytest.raises(Exception, match="lock timeout")
        with expire_others, bench.transaction() as other:
            other.execute(text("SET LOCAL lock_timeout = '50ms'"))
            transitions.delete(other, first, TENANT)

    assert (held, marked(bench)) == (True, 0)


def test_megapixels_of_a_fetched_photo_are_counted_today(bench: Bench) -> None:
    named(bench)
    bench.execute("UPDATE tenants SET spent_on = '2020-01-01', spent_megapixels = 9")

    for megapixels in (2.5, 1.0):
        bench.do(limits.count, TENANT, megapixels)

    assert bench.do(limits.spent_today, TENANT) == 3.5
