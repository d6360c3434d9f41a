"""Settings: what is read, and what is said when it is wrong."""

from pathlib import Path

import pytest

from smart_filter_shared import settings
from smart_filter_shared.errors import SetupFailed

SERVERS = {
    "SMART_FILTER_DATABASE_URL": "postgresql+psycopg://u:hush@127.0.0.1/d",
    "SMART_FILTER_BROKER_URL": "redis://:hush@127.0.0.1/0",
    "SMART_FILTER_STORAGE_URL": "http://127.0.0.1:9000",
    "SMART_FILTER_STORAGE_ACCESS_KEY": "access",
    "SMART_FILTER_STORAGE_SECRET_KEY": "hush",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in SERVERS.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_defaults_are_the_contracts(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SMART_FILTER_DATA", "/somewhere")

    read = settings.load()

    engine = read.engine
    assert (engine.lease_seconds, engine.heartbeat_seconds, engine.sweep_seconds) == (30, 5, 1)
    assert (engine.max_attempts, engine.give_up_seconds) == (3, 3600)
    assert read.outbound.allow == ()
    assert read.weights == Path("/somewhere/weights")


def test_missing_variable_is_named(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("SMART_FILTER_BROKER_URL")

    with pytest.raises(SetupFailed, match="SMART_FILTER_BROKER_URL is not set"):
        settings.load()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SMART_FILTER_LEASE_SECONDS", "soon"),
        ("SMART_FILTER_MAX_ATTEMPTS", "0"),
        ("SMART_FILTER_STORAGE_URL", "s3://bucket"),
        ("SMART_FILTER_LIVE_URL", "wss://live.example.org;script-src"),
        ("SMART_FILTER_LIVE_URL", "wss://live.example.org,a"),
        ("SMART_FILTER_LIVE_URL", "wss://*"),
        ("SMART_FILTER_OUTBOUND_ALLOW", "media.internal,10.0.0.5/8"),
        ("SMART_FILTER_OUTBOUND_ALLOW", "http://media.internal"),
        ("SMART_FILTER_CORS_ORIGINS", "app.example.com"),
        ("SMART_FILTER_CORS_ORIGINS", "https://app.example.com/page"),
        ("SMART_FILTER_CORS_ORIGINS", "https://*.example.com"),
        ("SMART_FILTER_SESSION_SECONDS", "0"),
        ("SMART_FILTER_RESEARCH_WEIGHTS", "perhaps"),
        ("SMART_FILTER_DEVICE", "gpu"),
        ("SMART_FILTER_OTLP_URL", "collector:4318"),
        ("SMART_FILTER_OTLP_URL", "http://user:secret@collector:4318"),
    ],
)
def test_wrong_value_is_named(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(name, value)

    with pytest.raises(SetupFailed, match=name):
        settings.load()


def test_hosts_and_networks_to_be_reached_are_listed(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SMART_FILTER_OUTBOUND_ALLOW", "Media.Internal, 10.1.0.0/16,127.0.0.1,::1,")

    allow = settings.load().outbound.allow

    assert allow == ("media.internal", "10.1.0.0/16", "127.0.0.1/32", "::1/128")


def test_heartbeat_must_be_faster_than_the_lease(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SMART_FILTER_LEASE_SECONDS", "6")

    with pytest.raises(SetupFailed, match="HEARTBEAT"):
        settings.load()


def test_secrets_are_not_shown(environment: pytest.MonkeyPatch) -> None:
    del environment

    assert "hush" not in repr(settings.load())


@pytest.mark.parametrize(("value", "on"), [(None, True), ("on", True), ("off", False)])
def test_research_weights_are_on_unless_they_are_turned_off(
    environment: pytest.MonkeyPatch, value: str | None, *, on: bool
) -> None:
    if value is not None:
        environment.setenv("SMART_FILTER_RESEARCH_WEIGHTS", value)

    assert settings.load().engine.research_weights is on
    assert settings.engine().research_weights is on


@pytest.mark.parametrize(
    ("listed", "origins"),
    [
        ("", ()),
        ("*", ("*",)),
        (
            "https://App.example.com:443, http://localhost:5173",
            ("https://app.example.com", "http://localhost:5173"),
        ),
    ],
)
def test_origins_are_read_as_browsers_write_them(
    environment: pytest.MonkeyPatch, listed: str, origins: tuple[str, ...]
) -> None:
    environment.setenv("SMART_FILTER_CORS_ORIGINS", listed)

    assert settings.load().browser.cors_origins == origins
