"""Keys of objects, and links to put objects with."""

import datetime as dt
import uuid

import pytest
from minio import Minio
from pydantic import SecretStr

from smart_filter_shared.ids import JobId, LeaseToken, Tenant
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.settings import StorageSettings
from smart_filter_shared.storage import keys, presigning
from smart_filter_shared.storage.objects import ObjectStore

NOW = dt.datetime(2026, 11, 20, 12, 30, 5, tzinfo=dt.UTC)
SIGNED = {"content-type": "image/jpeg", "content-length": "7"}


def settings(public_url: str | None = None) -> StorageSettings:
    return StorageSettings(
        url="http://storage.internal:9000",
        public_url=public_url,
        access_key=SecretStr("us/er"),
        secret_key=SecretStr("secret"),
    )


@pytest.mark.parametrize("key", ["2026-11-20/a/b/upload", "2026-11-20/of some.body_1-2/b/upload"])
def test_link_without_headers_is_that_of_another_signer(key: str) -> None:
    told = settings()
    other = Minio(
        endpoint="storage.internal:9000",
        access_key="us/er",
        secret_key="secret",
        secure=False,
        region=told.region,
    ).get_presigned_url("PUT", told.bucket, key, expires=dt.timedelta(seconds=60), request_date=NOW)

    link = presigning.presigned_put(told, key, headers={}, seconds=60, now=NOW)

    assert link == other


def test_headers_are_signed() -> None:
    first, second = (
        presigning.presigned_put(settings(), "a", headers=headers, seconds=60, now=NOW)
        for headers in (SIGNED, SIGNED | {"content-length": "8"})
    )

    assert "X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost&" in first
    assert first != second


@pytest.mark.parametrize("slash", ["", "/"])
def test_links_name_the_public_address(slash: str) -> None:
    store = ObjectStore(settings(f"https://photos.example.com{slash}"), connections=1)

    for link in (
        store.presigned_get("a", seconds=60),
        store.presigned_put("a", headers=SIGNED, seconds=60),
    ):
        assert link.startswith("https://photos.example.com/smart-filter/a?")
        assert "internal" not in link


JOB = JobId(uuid.UUID("01a1f83d-0171-77e4-8804-8112c3aa0992"))
TOKEN = LeaseToken(uuid.UUID("00000000-0000-4000-8000-000000000001"))


def test_keys_start_with_the_day_and_name_the_lease() -> None:
    assert keys.photo(Tenant("t"), JOB) == f"2026-11-20/t/{JOB}/photo"
    assert (
        keys.artifact(Tenant("t"), JOB, StageName.FACE, TOKEN, "x.npy")
        == f"2026-11-20/t/{JOB}/face/{TOKEN}/x.npy"
    )
