"""Identifiers and the keys made of them."""

import uuid

from smart_filter_shared.ids import JobId, LeaseToken, Tenant, new_job_id
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.storage import keys

JOB = JobId(uuid.UUID("01a1f83d-0171-77e4-8804-8112c3aa0992"))
TOKEN = LeaseToken(uuid.UUID("00000000-0000-4000-8000-000000000001"))


def test_job_ids_sort_by_creation() -> None:
    made = [new_job_id() for _ in range(100)]

    assert made == sorted(made)


def test_keys_start_with_the_day_and_name_the_lease() -> None:
    assert keys.photo(Tenant("t"), JOB) == f"2026-11-20/t/{JOB}/photo"
    assert (
        keys.artifact(Tenant("t"), JOB, StageName.FACE, TOKEN, "x.npy")
        == f"2026-11-20/t/{JOB}/face/{TOKEN}/x.npy"
    )
