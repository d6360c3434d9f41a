import sys

import pytest
from pydantic import SecretStr

from smart_filter_shared.config.settings import StorageSettings
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.storage import opening
from smart_filter_shared.storage.s3 import S3Store

SIGNED = {"content-type": "image/jpeg", "content-length": "7"}


def settings(public_url: str | None = None) -> StorageSettings:
    return StorageSettings(
        url="http://storage.internal:9000",
        public_url=public_url,
        access_key=SecretStr("us/er"),
        secret_key=SecretStr("secret"),
    )


@pytest.mark.parametrize("slash", ["", "/"])
def test_links_name_the_public_address(slash: str) -> None:
    store = S3Store(settings(f"https://photos.example.com{slash}"), connections=1)

    for link in (
        store.presigned_get("a", seconds=60, disposition="inline"),
        store.presigned_put("a", headers=SIGNED, seconds=60),
    ):
        assert link.startswith("https://photos.example.com/smart-filter/a?")
        assert "internal" not in link


def test_upload_links_are_signed_with_their_own_keys() -> None:
    own = {"upload_access_key": SecretStr("put-only"), "upload_secret_key": SecretStr("other")}
    stores = [S3Store(settings(), connections=1)]
    stores += [S3Store(settings().model_copy(update=own), connections=1)]

    put = [store.presigned_put("a", headers=SIGNED, seconds=60) for store in stores]
    got = [store.presigned_get("a", seconds=60, disposition="inline") for store in stores]

    assert [("us%2Fer%2F" in link, "put-only%2F" in link) for link in put] == [
        (True, False),
        (False, True),
    ]
    assert len({link.partition("X-Amz-Signature=")[2] for link in put}) == 2
    assert all("us%2Fer%2F" in link for link in got)


def test_missing_library_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "minio", None)

    with pytest.raises(SetupFailed, match=r"pip install 'smart-filter\[s3\]'"):
        opening.ensure_s3_installed()
