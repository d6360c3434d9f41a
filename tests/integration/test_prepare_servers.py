"""`smart-filter prepare` on servers that are late, reject it, or have another encoding."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine, make_url, text
from structlog.testing import capture_logs

from smart_filter_deploy import wiring
from smart_filter_deploy.cli.terminal.exit_codes import NO_SERVER
from smart_filter_deploy.embedded.addresses import free_port
from smart_filter_shared.config.settings import DatabaseSettings, Settings
from smart_filter_shared.db import schema
from smart_filter_shared.errors import DatabaseUnavailable, SetupFailed
from smart_filter_tests.bench import Bench
from smart_filter_tests.commands import on_servers
from smart_filter_tests.outages import wait_until
from smart_filter_tests.proxy import Mode, Proxy


def with_database(settings: Settings, **parts: object) -> Settings:
    """Return settings whose database URL has other parts."""
    url = make_url(settings.database.url.get_secret_value()).set(**parts)  # type: ignore[arg-type]
    own = DatabaseSettings(url=SecretStr(url.render_as_string(hide_password=False)))
    return dataclasses.replace(settings, database=own)


def run_prepare(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> tuple[object, str]:
    command = on_servers(settings, capsys, monkeypatch)
    status = command.status("prepare")
    written = capsys.readouterr()
    assert (written.out, written.err.count("\n")) == ("", 1)
    return status, written.err


def test_database_in_another_encoding_is_refused_in_one_line(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = with_database(bench.settings, database="in_ascii")
    outside = create_engine(
        bench.settings.database.url.get_secret_value(), isolation_level="AUTOCOMMIT"
    )
    with outside.connect() as connection:
        connection.execute(
            text("CREATE DATABASE in_ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
        )
        try:
            status, line = run_prepare(other, capsys, monkeypatch)
        finally:
            connection.execute(text("DROP DATABASE in_ascii WITH (FORCE)"))
    outside.dispose()

    assert status == NO_SERVER
    assert "in_ascii has the encoding SQL_ASCII" in line
    assert "ENCODING 'UTF8'" in line


@pytest.mark.parametrize("wrong", [{"password": "hush"}, {"database": "there_is_none"}])
def test_rejected_settings_end_prepare_at_once_and_keep_processes_from_starting(
    bench: Bench,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    wrong: dict[str, str],
) -> None:
    settings = with_database(bench.settings, **wrong)

    status, line = run_prepare(settings, capsys, monkeypatch)
    with pytest.raises(SetupFailed, match="correct SMART_FILTER_DATABASE_URL"):
        schema.ensure_compatible(settings.database)

    assert status == NO_SERVER
    assert line.startswith("smart-filter: the database rejects this process (")
    assert "correct SMART_FILTER_DATABASE_URL" in line
    assert "hush" not in line


def test_prepare_waits_for_a_database_that_starts_at_the_same_time(bench: Bench) -> None:
    place = urlsplit(bench.settings.database.url.get_secret_value())
    with (
        Proxy(place.hostname or "", place.port or 0) as proxy,
        ThreadPoolExecutor() as pool,
        capture_logs() as events,
    ):
        proxy.mode = Mode.RESET
        late = with_database(bench.settings, host="127.0.0.1", port=proxy.port)
        prepared = pool.submit(
            lambda: wiring.prepare_servers(late, local_key=None, wait_seconds=240)
        )
        wait_until(lambda: "waiting" in [event["event"] for event in events])
        proxy.mode = Mode.PASS

        assert prepared.result() is None


def test_prepare_ends_when_a_server_never_answers(bench: Bench) -> None:
    gone = with_database(bench.settings, host="127.0.0.1", port=free_port())

    with pytest.raises(DatabaseUnavailable):
        wiring.prepare_servers(gone, local_key=None, wait_seconds=0)
