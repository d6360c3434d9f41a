"""Puts the parts together: what each server process is made of."""

import datetime as dt
import gc
import socket
from collections.abc import Iterable, Sequence
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING

from smart_filter_shared import places
from smart_filter_shared.cards import Offer
from smart_filter_shared.db import schema, sessions
from smart_filter_shared.errors import SetupFailed, StorageRefused, StorageUnavailable
from smart_filter_shared.ids import OPERATOR
from smart_filter_shared.jobs import models as model_table
from smart_filter_shared.jobs import skew
from smart_filter_shared.jobs.retention import Keeping
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.settings import LiveSettings, Settings, StorageSettings, engine
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_shared.telemetry import logs, tracing
from smart_filter_shared.telemetry.logs import logger
from smart_filter_shared.telemetry.tracing import Traces

if TYPE_CHECKING:  # a worker's image has no API in it
    from smart_filter_api.cells.choosing import Cells

# Long enough for the workers to start and somebody to open a browser.
_CODE_VALID_FOR = dt.timedelta(minutes=10)


def prepare_servers(
    settings: Settings, *, local_key: str | None, local_code: str | None = None
) -> None:
    """Bring database and storage to what this version needs; may be repeated.

    local_key: the embedded stack's own key, of tenant `local`, with every scope.
    local_code: opens one session of that key in a browser, within ten minutes.
    Raises DatabaseUnavailable or StorageUnavailable.
    """
    # A worker's image has no API in it.
    from smart_filter_api import keys  # noqa: PLC0415
    from smart_filter_api.browsers import sessions as browser_sessions  # noqa: PLC0415
    from smart_filter_shared.db import migrate  # noqa: PLC0415 - Alembic: 0.2 s, for this only

    # First, as whoever waits for a database that fits finds the bucket too.
    ObjectStore(settings.storage, connections=1).ensure_bucket()
    # Read before any transaction begins: on a busy machine it takes longer than these may idle.
    offered = offers(settings)
    engine = sessions.engine(settings.database, connections=2)
    try:
        migrate.upgrade(engine)
        with sessions.transaction(engine) as connection:
            # Whoever runs this decides which version serves, an earlier one after a roll-back too.
            skew.go_back_to_own_release(connection)
            model_table.publish(connection, offered)
            if local_key is not None:
                keys.ensure(connection, local_key, tenant=OPERATOR, scopes=keys.ALL_SCOPES)
            if local_key is not None and local_code is not None:
                browser_sessions.allow_code(
                    connection, local_code, key=local_key, valid_for=_CODE_VALID_FOR
                )
    finally:
        engine.dispose()


def serve_api(settings: Settings, *, host: str, port: int) -> None:
    """Serve HTTP until told to stop.

    Raises SetupFailed when the database is of another version than this code, or storage refuses
    the settings.
    """
    from smart_filter_api import app, server  # noqa: PLC0415 - a worker's image has no API in it

    logs.configure("api")
    schema.ensure_fits(settings.database)
    _ensure_taken(settings.storage)
    application = app.create(settings, traces=_traces(settings, "api"))
    config = server.config(application, host=host, port=port)
    # All that is loaded by now stays: to look through it for garbage, again and again, took an
    # eighth of the time of a submission.
    gc.collect()
    gc.freeze()
    server.serve(config)


def serve_worker(
    settings: Settings,
    *,
    stages: Sequence[StageName],
    models: Sequence[str] = (),
    threads: int,
    extra_models: Iterable[ModuleType] = (),
) -> None:
    """Serve stages, all their models or those that are named, until told to stop.

    Raises SetupFailed when the database is of another version than this code, or storage refuses
    the settings.
    """
    from smart_filter_workers import app  # noqa: PLC0415 - the API's image has no workers in it

    logs.configure("worker")
    schema.ensure_fits(settings.database)
    _ensure_taken(settings.storage)
    app.serve(
        settings,
        stages=stages,
        models=models,
        threads=threads,
        traces=_traces(settings, "worker"),
        extra_models=extra_models,
    )


def serve_sender(settings: Settings) -> None:
    """Send what webhooks are to be told, until told to stop.

    Raises SetupFailed when no key is set that opens their secrets, or when the database is of
    another version than this code.
    """
    # The images of API and workers each have one half of it.
    from smart_filter_api import notices  # noqa: PLC0415
    from smart_filter_workers.sender import process  # noqa: PLC0415

    logs.configure("sender")
    schema.ensure_fits(settings.database)
    keeping = Keeping(settings.keep.input_seconds, settings.keep.result_seconds)
    process.serve(
        settings,
        render=partial(notices.body, keeping=keeping),
        traces=_traces(settings, "sender"),
    )


def serve_live(settings: LiveSettings, *, place: tuple[str, int] | int, threads: int) -> None:
    """Serve live video until told to stop.

    place: host and port to listen at, or the number of a file that is a socket which listens.
    Raises SetupFailed when no secret is set, weights are missing, or the port cannot be had.
    """
    from smart_filter_workers.live import process  # noqa: PLC0415 - the API's image has no workers

    logs.configure("live")
    process.serve(
        settings,
        places.data_folder() / "weights",
        research=engine().research_weights,
        listening=socket.socket(fileno=place) if isinstance(place, int) else process.listen(*place),
        threads=threads,
    )


def _ensure_taken(settings: StorageSettings) -> None:
    """Raise SetupFailed when storage refuses keys or bucket; one that is away may come back."""
    try:
        ObjectStore(settings, connections=1).check()
    except StorageRefused as error:
        raise SetupFailed(str(error)) from error
    except StorageUnavailable as error:
        # `/readyz` says so too, and so does whatever a worker hands back.
        logger("storage").warning("unavailable", reason=str(error))


def serve_router(
    domain: str, cells: "Cells", *, at: tuple[str, int], watch: tuple[str, int] | None
) -> None:
    """Lead requests to the cells of their tenants until told to stop.

    domain: below which each tenant has a host, in small letters.
    at: host and port for tenants.  watch: those for operators, of another port.
    Raises SetupFailed when nobody can listen there.
    """
    from smart_filter_api import server  # noqa: PLC0415 - a worker's image has no API in it
    from smart_filter_api.cells import router  # noqa: PLC0415

    logs.configure("router")
    app = router.create(domain, cells, watch_port=watch[1] if watch else None)
    listeners = [_listener(*one) for one in (at, watch) if one]
    server.serve(server.config(app), listeners=listeners)


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise SetupFailed(
            f"cannot listen on {host} port {port} ({error.strerror}); name another address or port"
        ) from error


def _traces(settings: Settings, process: str) -> Traces:
    """Return where a process tells its traces.  Raises SetupFailed."""
    try:
        return tracing.opened(settings.otlp.url, process)
    except ModuleNotFoundError as error:
        raise SetupFailed(
            f"SMART_FILTER_OTLP_URL needs more than is installed ({error.name} is missing): "
            "pip install 'smart-filter[otlp]', or unset it"
        ) from error


def offers(settings: Settings) -> list[Offer]:
    """Return every model of this installation, and which of them this machine can run."""
    from smart_filter_workers import catalogue  # noqa: PLC0415 - the API's image has no workers

    known = catalogue.find(research=settings.engine.research_weights)
    return known.offers(settings.weights)
