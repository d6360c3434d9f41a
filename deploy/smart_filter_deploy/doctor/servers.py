"""Check database, broker and object store, from the environment's settings or the stack."""

import datetime as dt
import secrets
from collections.abc import Iterator, Sequence

import httpx
import redis
from sqlalchemy import Connection, text

from smart_filter_deploy.doctor.findings import Finding, fail, ok, warn
from smart_filter_deploy.embedded.addresses import Addresses
from smart_filter_shared import doorbell, installation
from smart_filter_shared.config import settings as settings_module
from smart_filter_shared.config.settings import BrokerSettings, DatabaseSettings, StorageSettings
from smart_filter_shared.db import schema, sessions
from smart_filter_shared.errors import (
    DatabaseUnavailable,
    ObjectMissing,
    SetupFailed,
    StorageUnavailable,
)
from smart_filter_shared.operations import overview
from smart_filter_shared.operations.overview import WorkerInfo
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue import heads, worker_registry
from smart_filter_shared.queue.worker_registry import SENDER_ROLE, WorkerState
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_shared.storage.opening import open_store

_MIN_POSTGRES = 16
_TIMEOUT_SECONDS = 3.0
_WARN_SKEW_SECONDS = 5.0
_LINK_SECONDS = 60
# Source: AWS, "Signature Version 4": requests are rejected when clocks differ by 15 minutes.
_MAX_SKEW_SECONDS = 900.0
_PREPARE_REMEDY = "`smart-filter prepare`, or start the stack again"


def settings_of(
    addresses: Addresses,
) -> tuple[DatabaseSettings, BrokerSettings, StorageSettings]:
    """Return the settings of a stack's servers."""
    return (
        DatabaseSettings.model_validate({"url": addresses.database_url}),
        BrokerSettings.model_validate({"url": addresses.broker_url}),
        StorageSettings.model_validate({"url": addresses.storage_url}),
    )


def check_database(settings: DatabaseSettings) -> Iterator[Finding]:
    """Check the database: version, schema, clock, paused queues, and workers."""
    engine = sessions.open_engine(settings, connections=1)
    try:
        with sessions.transaction(engine) as connection:
            yield from _database_findings(connection)
    except DatabaseUnavailable as error:
        fix = "start it, or correct SMART_FILTER_DATABASE_URL"
        yield fail("database", f"does not answer ({error})", fix)
    finally:
        engine.dispose()


def _database_findings(connection: Connection) -> Iterator[Finding]:
    version = connection.execute(text("SHOW server_version")).scalar_one()
    if int(version.split(".")[0]) < _MIN_POSTGRES:
        fix = f"use PostgreSQL {_MIN_POSTGRES} or newer"
        yield fail("database", f"PostgreSQL {version} is too old", fix)
        return
    if sessions.is_read_only(connection):
        # Stop here: workers that cannot write heartbeats would look dead.
        fix = "point SMART_FILTER_DATABASE_URL to the primary"
        yield fail("database", f"PostgreSQL {version} is read-only (a replica?)", fix)
        return
    yield ok("database", f"PostgreSQL {version} answers")
    yield measure_clock_skew(connection.execute(text("SELECT clock_timestamp()")).scalar_one())
    try:
        mismatch = schema.explain_mismatch(connection)
    except SetupFailed as error:
        yield fail("migrations", str(error), "upgrade smart-filter on this machine")
        return
    if mismatch is not None:
        yield fail("migrations", mismatch, _PREPARE_REMEDY)
        return
    yield ok("migrations", f"at {schema.revision(connection)}, compatible with this version")
    silent_seconds = settings_module.load_engine().lease_seconds
    for capability, why in worker_registry.list_failed(
        connection, silent_seconds=silent_seconds
    ).items():
        fix = "fix it on that worker's machine, and restart the worker"
        yield warn(capability, f"setup failed: {why}", fix)
    yield from _paused_queues(connection)
    if (fault := installation.read_fault(connection)) is not None:
        said, _, fix = fault.partition(": ")
        yield warn("bucket", f"unreferenced objects are not removed, because {said}", fix)
    members = overview.list_workers(connection, silent_seconds=silent_seconds)
    yield from _unhealthy_processes(members)
    served = worker_registry.list_served(connection, silent_seconds=silent_seconds)
    stages = {heads.stage_of(capability) for capability in served}
    drained = _drained_processes(members)
    resting = {
        heads.stage_of(wanted)
        for member in drained
        for wanted in member.wanted
        if wanted != SENDER_ROLE
    } - stages
    missing = [stage for stage in StageName if stage not in stages | resting]
    for member in drained:
        said = f"{member.id} on {member.host} (process {member.pid}) is drained"
        yield warn("workers", said, f"smart-filter workers resume {member.id}, or stop it")
    if missing:
        fix = f"smart-filter worker --stages {','.join(missing)}"
        yield warn("workers", f"no worker serves {', '.join(missing)}: their jobs wait", fix)
    elif resting:
        held = ", ".join(stage for stage in StageName if stage in resting)
        said = f"only drained workers serve {held}: their jobs wait"
        yield warn("workers", said, "resume one")
    else:
        yield ok("workers", f"every stage has a worker ({', '.join(sorted(served))})")


def _paused_queues(connection: Connection) -> Iterator[Finding]:
    """Yield a finding for each queue that an operator has paused."""
    for capability in sorted(heads.list_paused(connection)):
        fix = f"smart-filter queues resume {capability}"
        yield warn(capability, "the queue is paused, its jobs wait", fix)


def _unhealthy_processes(members: Sequence[WorkerInfo]) -> Iterator[Finding]:
    """Yield a finding for each worker and sender without heartbeats, or whose threads are stuck."""
    for member in members:
        if member.state == WorkerState.UNHEALTHY:
            seen = f"{member.seen_at.astimezone():%Y-%m-%d %H:%M:%S}"
            said = f"{member.id} on {member.host} (process {member.pid}) is unhealthy"
            fix = "check whether it hangs or cannot reach the database, and restart it"
            yield warn("workers", f"{said}, last heartbeat at {seen}", fix)


def _drained_processes(members: Sequence[WorkerInfo]) -> list[WorkerInfo]:
    """Return the live workers and senders that an operator has drained."""
    return [
        member
        for member in members
        if member.drained_from is not None and member.state == WorkerState.DRAINING
    ]


def measure_clock_skew(theirs: dt.datetime, ours: dt.datetime | None = None) -> Finding:
    """Return a finding about the difference of this machine's clock and the database's.

    ours: this machine's time; None: now.
    """
    ahead = ((ours or dt.datetime.now(dt.UTC)) - theirs).total_seconds()
    said = f"{abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} the database's"
    fix = "synchronize both machines' clocks with NTP"
    if abs(ahead) > _MAX_SKEW_SECONDS:
        return fail("clock", f"{said}: presigned URLs are rejected", fix)
    if abs(ahead) > _WARN_SKEW_SECONDS:
        return warn("clock", said, fix)
    return ok("clock", "agrees with the database's")


def check_broker(settings: BrokerSettings) -> Iterator[Finding]:
    """Check the broker, if there is one: version, whether it takes writes, and eviction policy."""
    if not settings.address:
        yield ok("broker", "none: workers look for work in the database once a second")
        return
    client = redis.Redis.from_url(
        settings.address,
        socket_timeout=_TIMEOUT_SECONDS,
        socket_connect_timeout=_TIMEOUT_SECONDS,
    )
    until_then = "until then photos start up to a second later"
    try:
        info = client.info()
        fault = doorbell.find_write_fault(client)
    except (redis.RedisError, OSError) as error:
        fix = f"start it, or correct SMART_FILTER_BROKER_URL; {until_then}"
        yield fail("broker", f"does not answer ({error})", fix)
        return
    finally:
        client.close()
    name = "Valkey" if "valkey_version" in info else "Redis"
    said = f"{name} {info.get('valkey_version') or info.get('redis_version')} answers"
    if fault is not None:
        fix = f"use the primary, or make room; {until_then}"
        yield fail("broker", f"{said}, but takes no writes ({fault})", fix)
        return
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        said = f"{said}, and drops messages when it is full ({policy})"
        yield warn("broker", said, "set maxmemory-policy noeviction")
    else:
        yield ok("broker", said)


def check_storage(settings: StorageSettings) -> Iterator[Finding]:
    """Check the object store: put, read and remove an object."""
    store = open_store(settings, connections=1)
    key = f"doctor/{secrets.token_hex(8)}"
    content = b"smart-filter doctor"
    try:
        store.check()
        store.put(key, content, length=len(content), media_type="text/plain")
        same = store.get(key, most=len(content)) == content
        copied = _copies_by_upload_link(settings, store, key, content)
        store.remove(key)
    except StorageUnavailable as error:
        said, _, fix = str(error).rpartition("; ")
        yield fail("storage", said, fix)
        return
    except ObjectMissing:
        yield fail("storage", "lacks an object that it just stored", "use another object store")
        return
    if not same:
        yield fail("storage", "returns other bytes than it stored", "use another object store")
    elif copied:
        yield warn(
            "storage",
            "accepts x-amz- headers that an upload link does not sign: a client with one link can "
            "copy photos of other tenants",
            "use another object store, or let only the service reach it",
        )
    else:
        yield ok("storage", f"bucket {settings.bucket} stores, returns and removes objects")


def _copies_by_upload_link(
    settings: StorageSettings, store: ObjectStore, key: str, content: bytes
) -> bool:
    """Return whether a presigned PUT with an unsigned copy header copies the object under a key.

    content: of that object.

    Source: Amazon S3 API Reference, "CopyObject"; AWS Signature Version 4 requires that all
    x-amz- headers of a request are signed.
    """
    # The doctor may not reach the public address.
    inside = open_store(settings.model_copy(update={"public_url": None}), connections=1)
    copy = f"{key}-copy"
    media_type = {"content-type": "text/plain"}
    link = inside.presigned_put(
        copy, headers={**media_type, "content-length": "1"}, seconds=_LINK_SECONDS
    )
    if link is None:
        return False
    try:
        httpx.put(
            link,
            content=b"x",
            headers={**media_type, "x-amz-copy-source": f"/{settings.bucket}/{key}"},
        )
        return store.get(copy, most=len(content)) == content
    except (httpx.HTTPError, ObjectMissing):
        return False
    finally:
        store.remove(copy)
