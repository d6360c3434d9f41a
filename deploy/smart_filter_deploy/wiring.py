"""Compose the server processes from their parts."""

import datetime as dt
import gc
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from types import ModuleType
from typing import Final

from smart_filter_deploy.tls_files import TlsFiles
from smart_filter_shared import container_memory, doorbell, http_servers
from smart_filter_shared.catalog.model_card import Offer
from smart_filter_shared.config import paths
from smart_filter_shared.config.settings import (
    LiveSettings,
    Settings,
    StorageSettings,
    load_engine,
)
from smart_filter_shared.db import schema, sessions
from smart_filter_shared.errors import (
    DatabaseMisconfigured,
    DatabaseUnavailable,
    SetupFailed,
    StorageMisconfigured,
    StorageUnavailable,
)
from smart_filter_shared.extras import install_hint
from smart_filter_shared.ids import OPERATOR
from smart_filter_shared.model_registry import published_models
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe.document_photos import document_photos
from smart_filter_shared.security import signing_certificate
from smart_filter_shared.storage.opening import open_store
from smart_filter_shared.telemetry import logs, tracing
from smart_filter_shared.telemetry.logs import logger
from smart_filter_shared.telemetry.tracing import Traces

# Lifetime of the sign-in code: time for the workers to start and the user to open a browser.
_CODE_VALID_FOR = dt.timedelta(minutes=10)
# How long `prepare` waits for servers that start at the same time, and between two attempts.
_SERVERS_WAIT_SECONDS: Final = 60.0
_ATTEMPT_SECONDS: Final = 0.5
# Memory without reserves, while photos of 12 MP are sent or shown (docs/measurements.md).
_API_BYTES: Final = 130e6
_SENDER_BYTES: Final = 110e6
_LIVE_BYTES: Final = 256e6
_OPERATORS_OPTIONS = "--operators-host and --operators-port"


def prepare_servers(
    settings: Settings,
    *,
    local_key: str | None,
    local_code: str | None = None,
    wait_seconds: float = _SERVERS_WAIT_SECONDS,
) -> None:
    """Prepare database and object store for this version; idempotent.

    wait_seconds: how long servers that do not answer may take to start.
    local_key: the embedded stack's own key, of tenant `local`, with every scope.
    local_code: opens one browser session with that key, within ten minutes.
    Raises DatabaseUnavailable or StorageUnavailable; nothing has been migrated then, unless a
    server went down later. Raises SetupFailed when the database is not in UTF-8.
    """
    # A worker's image has no API in it.
    from smart_filter_api.auth import api_keys  # noqa: PLC0415
    from smart_filter_api.auth import sessions as browser_sessions  # noqa: PLC0415
    from smart_filter_shared.db import migrate  # noqa: PLC0415 - Alembic: 0.2 s, for this only

    store = open_store(settings.storage, connections=1)
    gives_up_at = time.monotonic() + wait_seconds
    # Both servers before any change. The bucket first: a process that waits for the schema then
    # finds the bucket too.
    _await_server("database", lambda: schema.connect(settings.database), until=gives_up_at)
    _await_server("storage", store.ensure_bucket, until=gives_up_at)
    # Listed before any transaction begins: on a busy machine this takes longer than a transaction
    # may idle.
    offered = list_offers(settings)
    engine = sessions.open_engine(
        settings.database, connections=2, statement_seconds=sessions.MIGRATION_SECONDS
    )
    try:
        migrate.upgrade(engine)
        with sessions.transaction(engine) as connection:
            # The version that runs this becomes the serving one, also an earlier one in a rollback.
            published_models.reset_release(connection)
            published_models.publish(connection, offered)
            if local_key is not None:
                api_keys.ensure(connection, local_key, tenant=OPERATOR, scopes=api_keys.ALL_SCOPES)
            if local_key is not None and local_code is not None:
                browser_sessions.allow_code(
                    connection, local_code, key=local_key, valid_for=_CODE_VALID_FOR
                )
    finally:
        engine.dispose()


def _await_server(name: str, ask: Callable[[], None], *, until: float) -> None:
    """Ask a server until it answers or rejects the settings.  Raises what it raised last.

    until: seconds of the monotonic clock, after which it is not asked again.
    """
    waits = False
    while True:
        try:
            return ask()
        except (DatabaseMisconfigured, StorageMisconfigured):
            raise
        except (DatabaseUnavailable, StorageUnavailable) as error:
            if time.monotonic() >= until:
                raise
            if not waits:
                logger("prepare").warning("waiting", server=name, reason=str(error))
                waits = True
        time.sleep(_ATTEMPT_SECONDS)


def serve_api(
    settings: Settings,
    *,
    place: tuple[str, int],
    operators_place: tuple[str, int] | None = None,
    tls: TlsFiles | None = None,
) -> None:
    """Serve HTTP until a stop signal; HTTPS with `tls`.

    place: host and port to listen on.  operators_place: those of the operators' port; None: no port
        serves the routes for operators.
    Raises SetupFailed when objects are files and no key signs links to them, the certificate for
    Content Credentials is not valid now, the operator's documents have another form, the database
    schema does not fit this code, the broker or the object store rejects the settings, a port is
    not available, or memory is too small.
    """
    from smart_filter_api import app  # noqa: PLC0415 - a worker's image has no API in it
    from smart_filter_api.http import server  # noqa: PLC0415 - a worker's image has no API in it

    logs.configure("api")
    if settings.storage.folder is not None and not settings.secrets.key:
        raise SetupFailed(
            "SMART_FILTER_SECRETS_KEY is not set, and links to files of a folder need its "
            "signature; set it to at least 32 random characters"
        )
    container_memory.configure_malloc()
    container_memory.ensure_enough("the API", needed=_API_BYTES)
    if settings.provenance.certificate is not None:
        signing_certificate.ensure_valid(settings.provenance.certificate)
    document_photos()
    schema.ensure_compatible(settings.database)
    doorbell.warn_of_refusal(settings.broker)
    _verify_storage(settings.storage)
    with ExitStack() as sockets:
        listeners = [sockets.enter_context(http_servers.bind(*place))]
        operators_port = None
        if operators_place is not None:
            options = "--operators-host and --operators-port"
            listeners.append(
                sockets.enter_context(http_servers.bind(*operators_place, options=options))
            )
            operators_port = operators_place[1]
        application = app.create(
            settings, operators_port=operators_port, traces=_open_traces(settings, "api")
        )
        config = server.build_config(
            application,
            trusted_proxies=settings.browser.trusted_proxies,
            tls_certificate=None if tls is None else tls.certificate,
            tls_key=None if tls is None else tls.key,
        )
        # Exclude all loaded objects from garbage collection: scanning them again and again took an
        # eighth of the time of a submission.
        gc.collect()
        gc.freeze()
        # A request makes thousands of objects and hardly any cycle: with Python's threshold of 700
        # objects the collector took 2 % of the time of a submission.
        gc.set_threshold(10_000)
        server.serve(config, listeners, end_waits=partial(app.end_waits, application))


def serve_worker(
    settings: Settings,
    *,
    stages: Sequence[StageName],
    models: Sequence[str] = (),
    threads: int,
    extra_models: Iterable[ModuleType] = (),
) -> None:
    """Run a worker for stages, with all their models or the named ones, until a stop signal.

    Raises SetupFailed when the certificate for Content Credentials cannot sign, the operator's
    documents have another form, the database schema does not fit this code, the broker or the
    object store rejects the settings, or memory is too small or its limit unknown.
    """
    from smart_filter_workers import process as worker_process  # noqa: PLC0415 - the API's image has no workers in it
    from smart_filter_workers.system import resources  # noqa: PLC0415 - as above

    logs.configure("worker")
    resources.ensure_known(settings.engine.memory_mb)
    resources.ensure_enough(stages, models)
    document_photos()
    schema.ensure_compatible(settings.database)
    doorbell.warn_of_refusal(settings.broker)
    _verify_storage(settings.storage)
    worker_process.serve(
        settings,
        stages=stages,
        models=models,
        threads=threads,
        traces=_open_traces(settings, "worker"),
        extra_models=extra_models,
    )


def serve_sender(settings: Settings) -> None:
    """Deliver webhooks until a stop signal.

    Raises SetupFailed when no key is set that decrypts their secrets, the database schema does not
    fit this code, or memory is too small.
    """
    # The image of the API lacks one of these packages, the image of workers the other.
    from smart_filter_api.auth.links import LinkSigner, LinkTerms  # noqa: PLC0415
    from smart_filter_api.presenters import webhook_payload  # noqa: PLC0415
    from smart_filter_workers.sender import process  # noqa: PLC0415

    logs.configure("sender")
    container_memory.ensure_enough("the sender", needed=_SENDER_BYTES)
    schema.ensure_compatible(settings.database)
    keys = [key.get_secret_value() for key in settings.secrets.key]
    links = LinkTerms(
        LinkSigner(keys),
        base_url=settings.links.public_url or "",
        default_seconds=settings.links.link_seconds,
    )
    process.serve(
        settings,
        render=partial(
            webhook_payload.render_payload,
            links=links,
            emotions=settings.engine.emotions,
        ),
        traces=_open_traces(settings, "sender"),
    )


def serve_live(
    settings: LiveSettings,
    *,
    place: tuple[str, int] | int,
    operators_place: tuple[str, int] | None = None,
    threads: int,
) -> None:
    """Serve live video until a stop signal.

    place: host and port to listen on, or the file descriptor of a listening socket.
    operators_place: host and port that serve readiness and metrics; None: no port does.
    Raises SetupFailed when no secret is set, weights are missing, a port is not available, or
    memory is too small or its limit unknown.
    """
    from smart_filter_workers.live import app  # noqa: PLC0415 - the API's image has no workers
    from smart_filter_workers.system import resources  # noqa: PLC0415 - as above

    logs.configure("live")
    engine = load_engine()
    resources.ensure_known(engine.memory_mb)
    container_memory.ensure_enough("a live worker", needed=_LIVE_BYTES)
    app.serve(
        settings,
        paths.data_folder() / "weights",
        research=engine.research_weights,
        emotions=engine.emotions,
        listening=socket.socket(fileno=place)
        if isinstance(place, int)
        else http_servers.bind(*place),
        operators=None
        if operators_place is None
        else http_servers.bind(*operators_place, options=_OPERATORS_OPTIONS),
        threads=threads,
    )


def _verify_storage(settings: StorageSettings) -> None:
    """Raise SetupFailed when the object store rejects the keys or the bucket.

    A store that is down only causes a warning, as it may come back.
    """
    try:
        open_store(settings, connections=1).check()
    except StorageMisconfigured as error:
        raise SetupFailed(str(error)) from error
    except StorageUnavailable as error:
        # `/readyz` reports it too, and so does every stage that a worker releases.
        logger("storage").warning("unavailable", reason=str(error))


def _open_traces(settings: Settings, process: str) -> Traces:
    """Return the recorder of a process's traces.  Raises SetupFailed without the extra `otlp`."""
    try:
        return tracing.open_traces(settings.otlp.url, process)
    except ModuleNotFoundError as error:
        raise SetupFailed(
            f"SMART_FILTER_OTLP_URL needs a package that is not installed ({error.name}):"
            f" unset it, or {install_hint('otlp')}"
        ) from error


def list_offers(settings: Settings) -> list[Offer]:
    """Return every model of this installation, with the reason if this machine cannot run it."""
    from smart_filter_workers.models import catalog  # noqa: PLC0415 - the API's image has no workers

    discovered = catalog.discover_models(
        research=settings.engine.research_weights, emotions=settings.engine.emotions
    )
    return discovered.offers(settings.weights)
