"""The three servers, as other users of the same machine find them."""

import os
import secrets
import stat
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
from minio import Minio
from minio.error import MinioException
from redis.backoff import NoBackoff
from redis.retry import Retry

from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_deploy.embedded.ports import free_port
from smart_filter_deploy.embedded.stack import Stack
from smart_filter_shared.errors import SetupFailed

LOOPBACK_IN_PROC = "0100007F"
LISTENING = "0A"


def test_port_is_not_chosen_again_before_its_server_listens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draw, drawn = secrets.randbelow, list[int]()

    def draw_the_first_twice(below: int) -> int:
        drawn.append(drawn[0] if len(drawn) == 1 else draw(below))
        return drawn[-1]

    monkeypatch.setattr(secrets, "randbelow", draw_the_first_twice)

    assert free_port() != free_port()
    assert drawn[1] == drawn[0]


def dsn(servers: Stack) -> str:
    return servers.addresses.database_url.replace("+psycopg", "")


def stranger(servers: Stack, password: str | None) -> redis.Redis:
    port = urlsplit(servers.addresses.broker_url).port
    return redis.Redis(port=port or 0, password=password, retry=Retry(NoBackoff(), 0))


def store(servers: Stack, secret_key: str | None = None) -> Minio:
    there = servers.addresses
    return Minio(
        urlsplit(there.storage_url).netloc,
        access_key=there.storage_access_key,
        secret_key=secret_key or there.storage_secret_key,
        secure=False,
        region="us-east-1",
    )


def secrets_of(servers: Stack) -> list[str]:
    return [path.read_text() for path in (servers.folder.path / "secrets").iterdir()]


def test_postgres_refuses_a_wrong_password(servers: Stack) -> None:
    right = urlsplit(dsn(servers)).password
    assert right is not None

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(dsn(servers).replace(right, "wrong"))


@pytest.mark.parametrize("password", ["wrong", None])
def test_valkey_refuses_a_wrong_password_and_none(servers: Stack, password: str | None) -> None:
    with stranger(servers, password) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_s3_refuses_a_wrong_secret_key(servers: Stack) -> None:
    store(servers).list_buckets()
    with pytest.raises(MinioException):
        store(servers, "wrong").list_buckets()


def test_servers_listen_on_loopback_only(servers: Stack) -> None:
    addresses = servers.addresses
    urls = (addresses.database_url, addresses.broker_url, addresses.storage_url)
    ports = {urlsplit(url).port for url in urls}

    listening = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            address, port = line.split()[1].split(":")
            if line.split()[3] == LISTENING and int(port, 16) in ports:
                listening.add((address, int(port, 16)))

    assert listening == {(LOOPBACK_IN_PROC, port) for port in ports}


def test_no_command_line_or_log_shows_a_secret(servers: Stack) -> None:
    pids = [servers.pid(name) for name in servers.names]

    shown = "".join(Path(f"/proc/{pid}/cmdline").read_text() for pid in pids)
    logs = "".join(path.read_text() for path in (servers.folder.path / "logs").iterdir())

    assert "valkey-server" in shown
    assert "PostgreSQL" in logs
    assert [secret for secret in secrets_of(servers) if secret in shown + logs] == []


def test_only_the_owner_can_read_secrets(servers: Stack) -> None:
    folder = servers.folder.path / "secrets"

    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}

    assert modes == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_postgres_has_the_settings_that_the_product_relies_on(servers: Stack) -> None:
    names = ("password_encryption", "idle_in_transaction_session_timeout", "timezone")
    with psycopg.connect(dsn(servers)) as connection:
        settings = [
            connection.execute("SELECT current_setting(%s)", (name,)).fetchone() for name in names
        ]
        ordered = connection.execute(
            "SELECT string_agg(t, '' ORDER BY t) FROM unnest(ARRAY['b', 'A', 'a', 'B']) t"
        ).fetchone()

    assert settings == [("scram-sha-256",), ("5s",), ("UTC",)]
    assert ordered == ("ABab",)


def test_folder_that_others_may_write_in_or_own_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(SetupFailed, match="chmod go-w"):
        DataFolder.at(tmp_path)

    if os.geteuid() == 0:  # only root can give a folder away
        os.chown(tmp_path, 65534, 65534)
        with pytest.raises(SetupFailed, match="belongs to somebody else"):
            DataFolder.at(tmp_path)
