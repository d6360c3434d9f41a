"""A tenant that wants nothing kept: a whole stack forgets a photo once its picture is fetched."""

from collections.abc import Iterator

import pytest

from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_tests.bench import settings_of
from smart_filter_tests.running import Running

TENANT = "/v1/tenants/local"


@pytest.fixture
def forgetful(running_stack: Running) -> Iterator[Running]:
    running_stack.client.patch(TENANT, json={"keep_nothing": True}).raise_for_status()
    yield running_stack
    running_stack.client.patch(TENANT, json={"keep_nothing": False}).raise_for_status()


def test_nothing_of_a_photo_is_left_once_its_picture_is_fetched(forgetful: Running) -> None:
    bucket = ObjectStore(settings_of(forgetful.stack.addresses).storage, connections=1)
    job = forgetful.run(background="color:red", outputs="image,faces")
    job_id = job["id"]
    shown = forgetful.client.get(job["links"]["photo"])
    objects = [one.key for one in bucket.stored() if job_id in one.key]

    picture = forgetful.output(job_id, "image")
    faces = forgetful.output(job_id, "faces")
    forgetful.until(lambda: not any(job_id in one.key for one in bucket.stored()))
    forgetful.until(lambda: forgetful.job(job_id)["faces"] is None)

    assert len(objects) >= 4
    # To be shown the photo is no delivery, and it goes with the rest.
    gone = forgetful.client.get(job["links"]["photo"])
    assert (shown.status_code, gone.status_code) == (200, 410)
    assert len(picture) == job["image"]["bytes"]
    assert b"landmarks" in faces
    answer = forgetful.client.get(f"/v1/jobs/{job_id}/outputs/image")
    assert (answer.status_code, answer.json()["code"]) == (410, "output_expired")
