"""Rules for every provider of pictures."""

import pytest
from pydantic import SecretStr

from smart_filter_shared.config.settings import StorageSettings
from smart_filter_shared.errors import PictureRefused
from smart_filter_workers.stock.providers import Bucket, Folder, find_provider, is_picture

STORAGE = StorageSettings(
    url="http://127.0.0.1:1", access_key=SecretStr("none"), secret_key=SecretStr("none")
)


@pytest.mark.parametrize(
    ("address", "kind"),
    [("pictures", Folder), ("/pictures", Folder), ("s3://a/b", Bucket), ("s3://a", Bucket)],
)
def test_address_is_opened_by_its_provider(address: str, kind: type) -> None:
    assert isinstance(find_provider(address, STORAGE), kind)


@pytest.mark.parametrize("address", ["https://a/b", "s3://", "s3://./b"])
def test_other_address_is_refused(address: str) -> None:
    with pytest.raises(PictureRefused):
        find_provider(address, STORAGE)


@pytest.mark.parametrize(
    ("address", "again"), [("s3://a/b", "s3://a//b/"), ("pictures", "./x/../pictures/")]
)
def test_place_has_one_origin_in_every_spelling(address: str, again: str) -> None:
    origin, other = (find_provider(place, STORAGE).origin for place in (address, again))

    assert origin == other


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        *(("a.jpg", True), ("b/c.PNG", True), ("d.e.webp", True), ("f.HEIC", True)),
        *(("a.txt", False), (".a.jpg", False), (".git/a.jpg", False), ("jpg", False)),
    ],
)
def test_pictures_are_listed_by_their_names(path: str, is_one: bool) -> None:  # noqa: FBT001 - a table
    assert is_picture(path) is is_one
