import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_type_hints

import pytest
from minio.error import S3Error
from pydantic_settings import BaseSettings

from smart_filter_docs import settings as documented
from smart_filter_shared.config import settings
from smart_filter_shared.config.paths import data_folder
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.storage import troubles

SERVERS = {
    "SMART_FILTER_DATABASE_URL": "postgresql+psycopg://u:hush@127.0.0.1/d",
    "SMART_FILTER_BROKER_URL": "redis://:hush@127.0.0.1/0",
    "SMART_FILTER_STORAGE_URL": "http://127.0.0.1:9000",
    "SMART_FILTER_STORAGE_ACCESS_KEY": "access",
    "SMART_FILTER_STORAGE_SECRET_KEY": "hush",
}


GROUPS = [
    group for group in get_type_hints(settings.Settings).values() if issubclass(group, BaseSettings)
]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in SERVERS.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_missing_variable_is_named(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("SMART_FILTER_BROKER_URL")

    with pytest.raises(SetupFailed, match="SMART_FILTER_BROKER_URL is not set"):
        settings.load()


def test_folder_of_objects_needs_no_keys(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SMART_FILTER_STORAGE_URL", "file:///srv/photos%20and%20pictures/")
    for name in ("ACCESS_KEY", "SECRET_KEY"):
        environment.delenv(f"SMART_FILTER_STORAGE_{name}")

    storage = settings.load().storage

    assert storage.folder == Path("/srv/photos and pictures")


@pytest.mark.parametrize("name", ["ACCESS_KEY", "SECRET_KEY"])
def test_process_without_a_store_needs_no_keys(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.delenv(f"SMART_FILTER_STORAGE_{name}")

    settings.load(uses_storage=False)

    with pytest.raises(SetupFailed, match=f"SMART_FILTER_STORAGE_{name} is not set"):
        settings.load()


def a_folder(**more: str) -> str:
    folder = {"tenant": "shop", "source": "s3://bucket/in/", "target": "s3://bucket/out/"}
    return json.dumps([{**folder, **more}])


@pytest.mark.parametrize("missing", ["URL", "ACCESS_KEY", "SECRET_KEY"])
def test_server_of_s3_folders_gets_no_keys_of_the_storage(
    environment: pytest.MonkeyPatch, missing: str
) -> None:
    for name, value in {"URL": "https://s3.test", "ACCESS_KEY": "a", "SECRET_KEY": "b"}.items():
        environment.setenv(f"SMART_FILTER_S3_{name}", value)
    environment.delenv(f"SMART_FILTER_S3_{missing}")
    read = settings.load()

    with pytest.raises(SetupFailed, match="belong together"):
        read.s3_folders.server(read.storage)


def test_s3_folders_need_a_server_when_the_storage_is_a_folder(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("SMART_FILTER_STORAGE_URL", "file:///srv/photos")
    read = settings.load()

    with pytest.raises(SetupFailed, match="needs SMART_FILTER_S3_URL"):
        read.s3_folders.server(read.storage)


@pytest.mark.usefixtures("environment")
def test_errors_of_s3_folders_name_their_variables() -> None:
    read = settings.load()
    server = read.s3_folders.server(read.storage).model_copy(update={"bucket": "photos"})

    refused = S3Error(None, "InvalidAccessKeyId", None, None, None, None)  # type: ignore[arg-type]
    assert "SMART_FILTER_S3_ACCESS_KEY" in str(troubles.translate_error(refused, server, about="a"))
    assert str(troubles.no_bucket(server)).endswith("or correct SMART_FILTER_S3_FOLDERS")


def test_broker_can_be_left_out(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SMART_FILTER_BROKER_URL", "none")

    assert settings.load().broker.address == ""


NO_SECONDS = ("soon", "0", "-1", "nan", "inf", "1e12")
NO_NUMBER = ("many", "1.5", "-1", "1e3")
NO_SWITCH = ("perhaps", "2")
NO_STORAGE = (
    *("s3://bucket", "s3.example.com", "https://u:hush@s3.example.com", "https://"),
    *("https://s3.example.com/bucket", "https://s3.example.com?region=a"),
    "https://s3.example.com:99999",
)
# Every variable that servers read, with wrong values.
WRONG: dict[str, tuple[str, ...]] = {
    "SMART_FILTER_DATABASE_URL": (
        *("hush", "postgresql://u:hush@h/d", "mysql://u:hush@h/d", "postgresql+psycopg://u:hush@h"),
        *("postgresql+psycopg://u:hu/sh@h/d", "postgresql+psycopg://u:pass@hush@h/d"),
        *("postgresql+psycopg://u:hu#sh@h/d", "postgresql+psycopg://u:hush@h:port/d"),
        "postgresql+psycopg://u:hush @h/d",
    ),
    "SMART_FILTER_BROKER_URL": ("hush", "amqp://:hush@h", "redis://", "redis://:hush@h/first"),
    "SMART_FILTER_BROKER_STAGE_EVENTS": NO_SWITCH,
    "SMART_FILTER_STORAGE_URL": (
        *NO_STORAGE,
        *("file://objects", "file:objects", "file:///objects?a", "file:///objects#a"),
        *("file:///", "file:////", "file:///a%00b", "file:///a%zz", "file:///a/../b"),
    ),
    "SMART_FILTER_STORAGE_PUBLIC_URL": NO_STORAGE,
    "SMART_FILTER_STORAGE_ACCESS_KEY": ("",),
    "SMART_FILTER_STORAGE_SECRET_KEY": ("",),
    "SMART_FILTER_STORAGE_UPLOAD_ACCESS_KEY": ("alone",),
    "SMART_FILTER_STORAGE_UPLOAD_SECRET_KEY": ("alone",),
    "SMART_FILTER_STORAGE_BUCKET": ("My Photos", "ab", "a" * 64, "-a-"),
    "SMART_FILTER_STORAGE_REGION": ("here and there", "_"),
    "SMART_FILTER_DATABASE_PATIENCE_SECONDS": ("soon", "0", "601"),
    "SMART_FILTER_LEASE_SECONDS": NO_SECONDS,
    "SMART_FILTER_HEARTBEAT_SECONDS": (*NO_SECONDS, "16"),
    "SMART_FILTER_SWEEP_SECONDS": NO_SECONDS,
    "SMART_FILTER_GIVE_UP_SECONDS": NO_SECONDS,
    "SMART_FILTER_STAGE_SECONDS": NO_SECONDS,
    "SMART_FILTER_DRAIN_SECONDS": ("soon", "-1", "inf"),
    "SMART_FILTER_MAX_ATTEMPTS": (*NO_NUMBER, "0", "101"),
    "SMART_FILTER_MEMORY_MB": ("all", "0", "inf"),
    "SMART_FILTER_POOLS": ("detectron2", "segmentation.", "segmentation.a b"),
    "SMART_FILTER_REMEMBER": NO_SWITCH,
    "SMART_FILTER_RESEARCH_WEIGHTS": NO_SWITCH,
    "SMART_FILTER_EMOTIONS": NO_SWITCH,
    "SMART_FILTER_COLLECT": NO_SWITCH,
    "SMART_FILTER_KEEP_INPUT_SECONDS": NO_SECONDS,
    "SMART_FILTER_KEEP_RESULT_SECONDS": NO_SECONDS,
    "SMART_FILTER_KEEP_AUDIT_SECONDS": (*NO_SECONDS, "2591999"),
    "SMART_FILTER_KEEP_RECORD_SECONDS": ("soon", "-1", "inf", "86399"),
    "SMART_FILTER_OUTBOUND_ALLOW": (
        *("media.internal,10.0.0.5/8", "http://media.internal", "http://u:hush@media.internal"),
        *("a b", "*.test", "h:80"),
    ),
    "SMART_FILTER_SECRETS_KEY": ("hush", f"{'a' * 32},hush"),
    "SMART_FILTER_LIMIT_REQUESTS_PER_MINUTE": NO_NUMBER,
    "SMART_FILTER_LIMIT_JOBS_WAITING": NO_NUMBER,
    "SMART_FILTER_LIMIT_PICTURES": NO_NUMBER,
    "SMART_FILTER_LIMIT_MEGAPIXELS_PER_DAY": ("many", "-1", "inf", "nan"),
    "SMART_FILTER_LIMIT_JOBS_IN_ALL": NO_NUMBER,
    "SMART_FILTER_LIMIT_DELIVERIES_WAITING": NO_NUMBER,
    "SMART_FILTER_LIMIT_STORED_BYTES": NO_NUMBER,
    "SMART_FILTER_LIMIT_BODY_MEGABYTES": (*NO_NUMBER, "169"),
    "SMART_FILTER_CORS_ORIGINS": (
        *("app.example.com", "https://app.example.com/page", "https://*.example.com"),
        "https://u:hush@app.example.com",
    ),
    "SMART_FILTER_PUBLIC_URL": NO_STORAGE,
    "SMART_FILTER_OPERATORS_URL": NO_STORAGE,
    "SMART_FILTER_LINK_SECONDS": (*NO_NUMBER, "59", "604801"),
    "SMART_FILTER_SESSION_IDLE_SECONDS": (*NO_NUMBER, "0"),
    "SMART_FILTER_SESSION_SECONDS": (*NO_NUMBER, "0"),
    "SMART_FILTER_SESSION_SECURE": NO_SWITCH,
    "SMART_FILTER_OIDC_ISSUER": (
        *("login.example.com", "http://login.example.com", "https://u:hush@login.example.com"),
        *("https://login.example.com?realm=a", "https://"),
    ),
    "SMART_FILTER_OIDC_CLIENT_ID": ("x" * 1001,),
    "SMART_FILTER_OIDC_CLIENT_SECRET": (),
    "SMART_FILTER_OIDC_SCOPES": ("x" * 1001,),
    "SMART_FILTER_OIDC_GROUPS_CLAIM": ("x" * 201,),
    "SMART_FILTER_OIDC_GROUPS": (
        *("hush", "{}x", "[1]", '[{"group": "a", "tenant": "b", "scopes": []}]'),
        '[{"group": "a", "tenant": "b", "scopes": ["root"]}]',
    ),
    "SMART_FILTER_OIDC_LABEL": ("x" * 61,),
    "SMART_FILTER_TRUSTED_PROXIES": ("proxy.internal", "10.0.0.5/8", "*"),
    "SMART_FILTER_REMOVEBG_SECONDS": ("soon", "0", "301"),
    "SMART_FILTER_S3_FOLDERS": (
        *("hush", "{}x", "[1]", '[{"tenant": "a", "source": "s3://bucket/in/"}]'),
        *(a_folder(source=source) for source in ("s3://bucket", "bucket/in/", "s3://bucket/in")),
        *(a_folder(source=f"s3://bucket/{bad}/") for bad in ("", "a//b", "..", "a/.", "a\n")),
        *(a_folder(target=f"s3://bucket/{bad}") for bad in ("", "in/", "in/out/")),
        *(a_folder(recipe="background"), a_folder(tenant="a/b"), a_folder(other="a")),
        f"[{a_folder()[1:-1]}, {a_folder(target='s3://else/')[1:-1]}]",
    ),
    "SMART_FILTER_S3_URL": ("s3.example.org", "https://u:hush@s3.example.org"),
    "SMART_FILTER_S3_ACCESS_KEY": (),
    "SMART_FILTER_S3_SECRET_KEY": (),
    "SMART_FILTER_S3_REGION": ("eu west",),
    "SMART_FILTER_S3_SWEEP_SECONDS": NO_SECONDS,
    "SMART_FILTER_LIVE_URL": (
        *("https://live.example.org", "wss://live.example.org;script-src", "wss://*"),
        *("wss://live.example.org,a", "wss://live.example.org/path"),
    ),
    "SMART_FILTER_LIVE_SECRET": ("hush", f"{'a' * 32},hush"),
    "SMART_FILTER_LIVE_CONNECTIONS": (*NO_NUMBER, "0"),
    "SMART_FILTER_LIVE_CONNECTIONS_EACH": (*NO_NUMBER, "0"),
    "SMART_FILTER_DEVICE": ("gpu",),
    "SMART_FILTER_C2PA_CERTIFICATE": ("hush", "-----BEGIN CERTIFICATE-----\nhush"),
    "SMART_FILTER_C2PA_KEY": ("hush", "-----BEGIN PRIVATE KEY-----\nhush"),
    "SMART_FILTER_OTLP_URL": (
        *("collector:4318", "http://u:hush@collector:4318", "http://collector:4318/?a"),
    ),
}


def test_every_variable_is_tried_with_wrong_values() -> None:
    assert set(WRONG) == {name for group in GROUPS for name in _variables(group)}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_wrong_value_is_one_line_with_variable_and_remedy(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    environment.setenv(name, value)

    with pytest.raises(SetupFailed) as refusal:
        settings.load()

    message = str(refusal.value)
    assert re.match(rf"{name}(, entry)? .*; (set it|lower it)", message)
    assert "\n" not in message
    assert "hush" not in message
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize("name", [name for name in WRONG if name not in SERVERS])
def test_empty_variable_counts_as_unset(environment: pytest.MonkeyPatch, name: str) -> None:
    usual = settings.load()

    environment.setenv(name, "")

    assert settings.load() == usual


@pytest.mark.usefixtures("environment")
def test_secrets_are_not_shown() -> None:
    assert "hush" not in repr(settings.load())


def _variables(group: type[BaseSettings]) -> Iterator[str]:
    for name in group.model_fields:
        yield f"{group.model_config['env_prefix']}{name}".upper()


@pytest.mark.parametrize(
    ("named", "uid", "folder"),
    [
        ("/srv/photos", 0, "/srv/photos"),
        ("/srv/photos", 1000, "/srv/photos"),
        ("~/photos", 0, "/users/anna/photos"),
        (None, 0, "/var/lib/smart-filter"),
        (None, 1000, "/users/anna/.local/share/smart-filter"),
    ],
)
def test_data_folder_is_the_given_one_or_the_users_default(
    monkeypatch: pytest.MonkeyPatch, named: str | None, uid: int, folder: str
) -> None:
    monkeypatch.setenv("HOME", "/users/anna")
    environment = {} if named is None else {"SMART_FILTER_DATA": named}

    assert data_folder(environment, uid=uid) == Path(folder)


def test_unknown_home_is_refused_with_the_remedy() -> None:
    with pytest.raises(SetupFailed, match="--data or SMART_FILTER_DATA"):
        data_folder({"SMART_FILTER_DATA": "~no-such-user/x"}, uid=0)


def test_settings_page_has_the_defaults_of_the_code() -> None:
    text = documented.PAGE.read_text()

    assert documented.page(text) == text, "run `make docs`"
