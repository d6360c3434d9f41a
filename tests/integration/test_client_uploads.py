"""Both clients and the storage: uploads of small and large photos."""

import io
from pathlib import Path

import pytest
from PIL import Image

from smart_filter_api.keys import Scope
from smart_filter_client import errors
from smart_filter_client.operations import photos
from smart_filter_tests.clients import Asked
from smart_filter_tests.serving import Api, a_photo

KEEP = {"background": "keep"}


@pytest.fixture(params=["blocking", "awaited"])
def client(request: pytest.FixtureRequest, api: Api) -> Asked:
    """Either client, with every scope."""
    is_async = request.param == "awaited"
    return Asked(None, is_async=is_async, url=api.url, api_key=api.key(*Scope))


def a_large_photo() -> bytes:
    """Return a photo whose file is larger than what is sent along."""
    buffer = io.BytesIO()
    Image.effect_noise((3000, 3000), 90).save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()


def test_upload_is_named_by_several_jobs(client: Asked, api: Api) -> None:
    upload = client.do("upload", a_photo())

    jobs = [
        client.do("submit", upload, KEEP),
        client.do("submit", upload, background_file=a_photo()),
    ]

    assert len({job.id for job in jobs}) == 2
    assert upload.expires_at is not None
    assert api.leftovers()["jobs"] == 2


def test_large_file_goes_straight_to_the_storage(client: Asked, api: Api, tmp_path: Path) -> None:
    photo = tmp_path / "large.png"
    photo.write_bytes(a_large_photo())

    job = client.do("submit", photo, KEEP)

    assert job.state == "queued"
    assert photo.stat().st_size > photos.LARGE_BYTES
    keys = [one.key for one in api.bench.store.stored()]
    assert [b"".join(api.bench.store.stream(key)) for key in keys] == [photo.read_bytes()]
    assert client.do("cancel", job.id).state == "canceled"


def test_upload_that_is_no_picture_is_refused_at_once(client: Asked) -> None:
    with pytest.raises(errors.PhotoRefused):
        client.do("upload", b"no photo")


def test_address_of_a_photo_is_taken(client: Asked) -> None:
    job = client.do("submit", "https://example.com/photo.jpg", KEEP)

    assert (job.state, job.photo) == ("queued", None)
    with pytest.raises(errors.Refused):
        client.do("submit", "https://user:secret@example.com/photo.jpg", KEEP)
