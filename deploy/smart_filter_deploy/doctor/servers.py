"""Database, broker and storage, as the environment or the stack names them."""

import datetime as dt
import secrets
from collections.abc import Iterator, Sequence

import redis
from sqlalchemy import Connection, text

from smart_filter_deploy.doctor.findings import Finding, fail, ok, warn
from smart_filter_deploy.embedded.addresses import Addresses
from smart_filter_shared import installation
from smart_filter_shared import settings as settings_module
from smart_filter_shared.db import schema, sessions
from smart_filter_shared.db.read_only import is_read_only
from smart_filter_shared.errors import (
    DatabaseUnavailable,
    ObjectMissing,
    SetupFailed,
    StorageUnavailable,
)
from smart_filter_shared.jobs import pauses, presence, queries, roster
from smart_filter_shared.jobs.presence import SENDING, WorkerState
from smart_filter_shared.jobs.roster import Member
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.settings import (
    BrokerSettings,
    DatabaseSettings,
    StorageSettings,
)
from smart_filter_shared.storage.objects import ObjectStore

_OLDEST_POSTGRES = 16
_ANSWER_SECONDS = 3.0
_LITTLE_SKEW_SECONDS = 5.0
# Source: AWS, "Signature Version 4": requests are refused 15 minutes beside their time.
_MOST_SKEW_SECONDS = 900.0
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
    engine = sessions.engine(settings, connections=1)
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
    if is_read_only(connection):
        # Nothing more is said: workers that cannot write heartbeats look dead.
        fix = "let SMART_FILTER_DATABASE_URL lead to the primary"
        yield fail("database", f"PostgreSQL {told} is read-only (a replica?)", fix)
        return
    yield ok("database", f"PostgreSQL {told} answers")
    yield clock_against(connection.execute(text("SELECT clock_timestamp()")).scalar_one())
    try:
        lacking = schema.lacking(connection)
    except SetupFailed as error:
        yield fail("migrations", str(error), "upgrade smart-filter here")
        return
    if lacking is not None:
        yield fail("migrations", lacking, _PREPARE)
        return
    yield ok("migrations", f"at {schema.revision(connection)}, which suits this version")
    silent_seconds = settings_module.engine().lease_seconds
    for capability, why in presence.failed(connection, silent_seconds=silent_seconds).items():
        fix = "put it right where that worker runs, and start it again"
        yield warn(capability, f"setup failed: {why}", fix)
    yield from _stopped(connection)
    if (fault := installation.fault(connection)) is not None:
        said, _, fix = fault.partition(": ")
        yield warn("bucket", f"objects that no row names are kept, because {said}", fix)
    members = roster.listed(connection, silent_seconds=silent_seconds)
    yield from _unwell(members)
    served = presence.served(connection, silent_seconds=silent_seconds)
    stages = {queries.stage_of(capability) for capability in served}
    drained = _drained(members)
    resting = {
        queries.stage_of(one) for member in drained for one in member.wanted if one != SENDING
    } - stages
    missing = [stage for stage in StageName if stage not in stages | resting]
    for member in drained:
        said = f"{member.id} on {member.host} (process {member.pid}) was told to take no more"
        yield warn("workers", said, f"smart-filter workers resume {member.id}, or stop it")
    if missing:
        fix = f"smart-filter worker --stages {','.join(missing)}"
        yield warn("workers", f"none serves {', '.join(missing)}: their jobs wait", fix)
    elif resting:
        held = ", ".join(stage for stage in StageName if stage in resting)
        yield warn("workers", f"only drained ones serve {held}, their jobs wait", "resume one")
    else:
        yield ok("workers", f"every stage is served ({', '.join(sorted(served))})")


def _stopped(connection: Connection) -> Iterator[Finding]:
    """Yield the queues from which an operator lets nobody claim."""
    for capability in sorted(pauses.paused(connection)):
        fix = f"smart-filter queues resume {capability}"
        yield warn(capability, "is paused, its jobs wait", fix)


def _unwell(members: Sequence[Member]) -> Iterator[Finding]:
    """Yield the workers and senders that nobody hears from, or that do not hear from the broker."""
    for member in members:
        if member.state == WorkerState.UNHEALTHY:
            heard = f"{member.seen_at.astimezone():%Y-%m-%d %H:%M:%S}"
            said = f"{member.id} on {member.host} (process {member.pid}) is unhealthy"
            fix = "see whether it hangs or reaches no broker, and start it again"
            yield warn("workers", f"{said}, heard from last at {heard}", fix)


def _drained(members: Sequence[Member]) -> list[Member]:
    """Return the live workers and senders that an operator lets claim no more."""
    return [
        member
        for member in members
        if member.drained_from is not None and member.state == WorkerState.DRAINING
    ]


def clock_against(theirs: dt.datetime, ours: dt.datetime | None = None) -> Finding:
    """Return how far this machine's clock is from the database's.

    ours: what it shows now; None: what it shows.
    """
    ahead = ((ours or dt.datetime.now(dt.UTC)) - theirs).total_seconds()
    said = f"{abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} the database's"
    fix = "have both machines set their clocks by NTP"
    if abs(ahead) > _MOST_SKEW_SECONDS:
        return fail("clock", f"{said}: signed links are refused", fix)
    if abs(ahead) > _LITTLE_SKEW_SECONDS:
        return warn("clock", said, fix)
    return ok("clock", "agrees with the database's")


def broker(settings: BrokerSettings) -> Iterator[Finding]:
    """Look at the broker: its version, and whether it would drop messages."""
    client = redis.Redis.from_url(
        settings.url.get_secret_value(),
        socket_timeout=_ANSWER_SECONDS,
        socket_connect_timeout=_ANSWER_SECONDS,
    )
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
    except StorageUnavailable as error:
        said, _, fix = str(error).rpartition("; ")
        yield fail("storage", said, fix)
        return
    except ObjectMissing:
        yield fail("storage", "has not what it just took", "use another object store")
        return
    if same:
        yield ok("storage", f"bucket {settings.bucket} takes, gives and removes objects")
    else:
        yield fail("storage", "gives back other bytes than it took", "use another object store")
