"""Rules for every provider of pictures."""

import importlib
import pkgutil

import pytest
from pydantic import SecretStr

from smart_filter_shared.config.settings import StorageSettings
from smart_filter_workers.stock import providers, syncing
from smart_filter_workers.stock.providers.base import ProviderFile, is_picture

STORAGE = StorageSettings(
    url="http://127.0.0.1:1", access_key=SecretStr("none"), secret_key=SecretStr("none")
)
FILES: dict[str, ProviderFile] = {
    module.name: importlib.import_module(f"{providers.__name__}.{module.name}")
    for module in pkgutil.iter_modules(providers.__path__)
    if module.name != "base"
}


@pytest.mark.parametrize(
    ("address", "kind"),
    [("pictures", "folder"), ("/pictures", "folder"), ("s3://a/b", "bucket"), ("s3://a", "bucket")],
)
def test_address_is_opened_by_one_provider_alone(address: str, kind: str) -> None:
    assert [name for name, file in FILES.items() if file.opens(address)] == [kind]


@pytest.mark.parametrize(
    ("address", "again"), [("s3://a/b", "s3://a//b/"), ("pictures", "./x/../pictures/")]
)
def test_place_has_one_origin_in_every_spelling(address: str, again: str) -> None:
    origin, other = (syncing.find_provider(place, STORAGE).origin for place in (address, again))

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
