import pytest
from pydantic import SecretStr

from smart_filter_shared.config.settings import StorageSettings
from smart_filter_shared.storage.objects import ObjectStore

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
    store = ObjectStore(settings(f"https://photos.example.com{slash}"), connections=1)

    for link in (
        store.presigned_get("a", seconds=60),
        store.presigned_put("a", headers=SIGNED, seconds=60),
    ):
        assert link.startswith("https://photos.example.com/smart-filter/a?")
        assert "internal" not in link
