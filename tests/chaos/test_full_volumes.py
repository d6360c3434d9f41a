"""Full volumes of storage and database: accepted photos are kept, new ones refused until later."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import pytest

from smart_filter_tests import s3_server
from smart_filter_tests.full_stack import PHOTO
from smart_filter_tests.small_volume import filled, small_volume
from smart_filter_tests.storm import PHOTOS, Storm, storm

pytestmark = pytest.mark.timeout(600)
# Room for all photos of both tests, before the volume is filled.
STORAGE_MEGABYTES: Final = 64 + 3 * PHOTOS
DATABASE_MEGABYTES: Final = 400 + PHOTOS
# In tables without room a few rows still fit into pages that are there.
MOST_ACCEPTED: Final = PHOTOS + 400


@dataclass(frozen=True, slots=True)
class SmallVolumes:
    storm: Storm
    storage: Path
    database: Path


@pytest.fixture(scope="module")
def small_volumes(data_folder: Path, weights_folder: Path) -> Iterator[SmallVolumes]:
    folder = data_folder / "small-volumes"
    folder.mkdir(mode=0o700)
    with ExitStack() as held:
        storage = held.enter_context(
            small_volume(folder / s3_server.FOLDER, STORAGE_MEGABYTES, mode=0o700)
        )
        database = held.enter_context(
            small_volume(folder / "postgres", DATABASE_MEGABYTES, mode=0o711)
        )
        yield SmallVolumes(held.enter_context(storm(folder, weights_folder)), storage, database)


@pytest.mark.parametrize("server", ["storage", "database"])
def test_full_volume_refuses_new_photos_and_keeps_accepted_ones(
    small_volumes: SmallVolumes, server: str
) -> None:
    stack = small_volumes.storm
    job_ids = stack.submit()
    with filled(getattr(small_volumes, server)):
        refusal = None
        while refusal is None:
            answer = submit(stack)
            if answer.status_code == httpx.codes.ACCEPTED:
                job_ids.append(answer.json()["id"])
                assert len(job_ids) < MOST_ACCEPTED
            else:
                refusal = answer
        stack.wait_seconds(3)
    stack.ride_out([])
    stack.calm_down()
    after = stack.running.run(background="keep")

    assert refusal.status_code == httpx.codes.SERVICE_UNAVAILABLE, refusal.text
    assert refusal.headers["content-type"] == "application/problem+json"
    assert int(refusal.headers["retry-after"]) > 0
    assert stack.damage(job_ids) == []
    assert after["state"] == "succeeded"


def submit(stack: Storm) -> httpx.Response:
    return stack.running.client.post("/v1/jobs", files={"photo": PHOTO.read_bytes()})
