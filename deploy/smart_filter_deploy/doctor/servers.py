"""The servers that the environment names or the stack has up; needs the server's packages."""

import secrets
from collections.abc import Iterator
from importlib.metadata import version

import httpx
import redis
from sqlalchemy import Connection, text
from sqlalchemy.exc import ArgumentError

from smart_filter_client import Client
from smart_filter_client import errors as client_errors
from smart_filter_deploy.doctor.findings import Finding, fail, ok, warn
from smart_filter_deploy.embedded.addresses import Addresses
from smart_filter_shared import settings as settings_module
from smart_filter_shared.db import migrate, sessions
from smart_filter_shared.errors import DatabaseUnavailable, ObjectMissing, StorageUnavailable
from smart_filter_shared.jobs import presence, queries
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.settings import (
    BrokerSettings,
    DatabaseSettings,
    StorageSettings,
)
from smart_filter_shared.storage.objects import ObjectStore

_OLDEST_POSTGRES = 16
_ANSWER_SECONDS = 3.0
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_PREPARE = "`smart-filter prepare`, or start the stack again"


def settings_of(
    addresses: Addresses,
) -> tuple[DatabaseSettings, BrokerSettings, StorageSettings]:
    """Return the settings that name the servers of a stack."""
    return (
        DatabaseSettings.model_validate({"url": addresses.database_url}),
        BrokerSettings.model_validate({"url": addresses.broker_url}),
        StorageSettings.model_validate(
            {
                "url": addresses.storage_url,
                "access_key": addresses.storage_access_key,
                "secret_key": addresses.storage_secret_key,
            }
        ),
    )


def database(settings: DatabaseSettings) -> Iterator[Finding]:
    """Look at the database: its version, its tables, and the workers that it knows."""
    try:
        engine = sessions.engine(settings, connections=1)
    except (ArgumentError, ModuleNotFoundError):
        fix = "postgresql+psycopg://user:password@host:port/database"
        yield fail("database", "SMART_FILTER_DATABASE_URL is no such URL", fix)
        return
    try:
        with sessions.transaction(engine) as connection:
            yield from _database(connection)
    except DatabaseUnavailable as error:
        fix = "start it, or correct SMART_FILTER_DATABASE_URL"
        yield fail("database", f"does not answer ({error})", fix)
    finally:
        engine.dispose()


def _database(connection: Connection) -> Iterator[Finding]:
    told = connection.execute(text("SHOW server_version")).scalar_one()
    if int(told.split(".")[0]) < _OLDEST_POSTGRES:
        fix = f"use PostgreSQL {_OLDEST_POSTGRES} or newer"
        yield fail("database", f"PostgreSQL {told} is too old", fix)
        return
    yield ok("database", f"PostgreSQL {told} answers")
    current, newest = migrate.revision(connection), migrate.newest_revision()
    if current != newest:
        said = f"is at migration {current or 'none'}, this version needs {newest}"
        yield fail("migrations", said, _PREPARE)
        return
    yield ok("migrations", f"at {newest}, the newest")
    silent_seconds = settings_module.engine().lease_seconds
    for capability, why in presence.failed(connection, silent_seconds=silent_seconds).items():
        fix = "put it right where that worker runs, and start it again"
        yield warn(capability, f"setup failed: {why}", fix)
    served = presence.served(connection, silent_seconds=silent_seconds)
    stages = {queries.stage_of(capability) for capability in served}
    missing = [stage for stage in StageName if stage not in stages]
    if missing:
        fix = f"smart-filter worker --stages {','.join(missing)}"
        yield warn("workers", f"none serves {', '.join(missing)}: their jobs wait", fix)
    else:
        yield ok("workers", f"every stage is served ({', '.join(sorted(served))})")


def broker(settings: BrokerSettings) -> Iterator[Finding]:
    """Look at the broker: its version, and whether it would drop messages."""
    try:
        client = redis.Redis.from_url(
            settings.url.get_secret_value(),
            socket_timeout=_ANSWER_SECONDS,
            socket_connect_timeout=_ANSWER_SECONDS,
        )
    except ValueError:
        fix = "redis://:password@host:port/0"
        yield fail("broker", "SMART_FILTER_BROKER_URL is no such URL", fix)
        return
    try:
        known = client.info()
    except (redis.RedisError, OSError) as error:
        fix = "start it, or correct SMART_FILTER_BROKER_URL; until then accepted jobs wait"
        yield fail("broker", f"does not answer ({error})", fix)
        return
    finally:
        client.close()
    name = "Valkey" if "valkey_version" in known else "Redis"
    said = f"{name} {known.get('valkey_version') or known.get('redis_version')} answers"
    policy = known.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        said = f"{said}, and drops messages when it is full ({policy})"
        yield warn("broker", said, "set maxmemory-policy noeviction")
    else:
        yield ok("broker", said)


def storage(settings: StorageSettings) -> Iterator[Finding]:
    """Look at the object store: whether an object can be put, read and removed."""
    store = ObjectStore(settings, connections=1)
    key = f"doctor/{secrets.token_hex(8)}"
    content = b"smart-filter doctor"
    try:
        store.check()
        store.put(key, content, length=len(content), media_type="text/plain")
        same = store.get(key) == content
        store.remove(key)
    except (StorageUnavailable, ObjectMissing) as error:
        fix = f"start it, correct SMART_FILTER_STORAGE_…, or {_PREPARE} when the bucket is missing"
        yield fail("storage", f"cannot be used ({error})", fix)
        return
    if same:
        yield ok("storage", f"bucket {settings.bucket} takes, gives and removes objects")
    else:
        yield fail("storage", "gives back other bytes than it took", "use another object store")


def api(url: str, api_key: str) -> Iterator[Finding]:
    """Look at an API: whether it is ready, of which version, and whether it knows the key."""
    local = httpx.URL(url).host in _LOOPBACK
    try:
        # A proxy of this machine's environment cannot reach this machine's loopback.
        with httpx.Client(base_url=url, timeout=_ANSWER_SECONDS, trust_env=not local) as http:
            ready = http.get("/readyz")
            told = str(http.get("/openapi.json").json()["info"]["version"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        said = f"{url} does not answer as ours would ({type(error).__name__})"
        yield fail("api", said, "start it, or correct SMART_FILTER_URL")
        return
    degraded = ready.json().get("degraded") if ready.is_success else None
    if not ready.is_success:
        detail = ready.json().get("detail", f"answers {ready.status_code}")
        yield fail("api", f"{url} is not ready ({detail})", "see to the servers above or below")
    elif degraded:
        yield warn("api", f"{url} does without {', '.join(degraded)}", "see to it below")
    else:
        yield ok("api", f"{url} is ready")
    ours = version("smart-filter")
    if told != ours:
        yield warn("version", f"the API is {told}, this program {ours}", "update the older one")
    yield from _key(url, api_key)


def _key(url: str, api_key: str) -> Iterator[Finding]:
    with Client(url, api_key, attempts=1) as client:
        try:
            client.models()
        except client_errors.Refused as error:
            yield fail("key", f"is refused ({error.code})", "correct SMART_FILTER_API_KEY")
        except client_errors.Error as error:
            yield fail("key", f"cannot be tried ({error})", "see to the API first")
        else:
            yield ok("key", "the API knows it")
