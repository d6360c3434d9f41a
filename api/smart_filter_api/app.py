"""Assemble the FastAPI application from routes, error handlers and services."""

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache, partial
from importlib.metadata import version

import anyio.to_thread
from fastapi import Depends, FastAPI

from smart_filter_api.auth import csrf
from smart_filter_api.auth.security_log import RefusalLog
from smart_filter_api.http import documents, request_checks
from smart_filter_api.http.middleware import (
    LastErrorMiddleware,
    LatencyHistogram,
    RequestMiddleware,
)
from smart_filter_api.openapi import document as openapi
from smart_filter_api.problems import problem
from smart_filter_api.reference import route as reference
from smart_filter_api.removebg import errors
from smart_filter_api.removebg import route as removebg
from smart_filter_api.routes import (
    backgrounds,
    batches,
    catalog,
    choices,
    deliveries,
    derive,
    direct,
    health,
    jobs,
    keys,
    live,
    operator,
    outputs,
    recipes,
    session,
    sign_in,
    tenant_pictures,
    tenants,
    uploads,
    webhooks,
)
from smart_filter_api.s3_folders import folder_stores
from smart_filter_api.s3_folders.folder_stores import FolderStores
from smart_filter_api.s3_folders.service import open_s3_folders
from smart_filter_api.services import container
from smart_filter_api.studio import route as studio
from smart_filter_shared.config.settings import Settings
from smart_filter_shared.telemetry.tracing import NULL_TRACES, Traces


def create(
    settings: Settings,
    *,
    operators_port: int | None = None,
    traces: Traces = NULL_TRACES,
    clock: Callable[[], float] = time.monotonic,
) -> FastAPI:
    """Return the application; its services open when it starts to serve.

    operators_port: the only port that serves the routes for operators; None: no port does.
    traces: receives a span for each submission; closed when the application stops.
    clock: monotonic seconds, used to expire cached values.
    Raises SetupFailed when the server or a recipe of the S3 folders cannot be used.
    """
    folder_stores.check_recipes(settings.s3_folders)
    stores = FolderStores(settings) if settings.s3_folders.folders else None
    refusals = RefusalLog(clock=clock)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            container.open_services(settings, refusals, clock=clock) as services,
            open_s3_folders(services, stores) as folders,
        ):
            app.state.services = services
            app.state.s3_folders = folders
            try:
                yield
            finally:
                await anyio.to_thread.run_sync(traces.close)

    app = FastAPI(
        title="Smart Filter",
        summary="Cut people out of photos, rate their smiles and replace the background.",
        version=version("smart-filter"),
        lifespan=lifespan,
        # FastAPI's own route serializes the whole document on every request, and its docs pages
        # load scripts from another origin.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(request_checks.check_headers)],
        generate_unique_id_function=openapi.operation_id,
    )
    problem.install(app)
    errors.install(app)
    app.state.latencies = LatencyHistogram()
    app.state.traces = traces
    app.state.operators_port = operators_port
    app.state.live = live.from_settings(settings.live)
    # The last one added is the outermost: preflights are logged and counted, and pages of other
    # origins can read the problem of an error that no other handler caught.
    app.add_middleware(LastErrorMiddleware)
    csrf.allow_origins(app, settings.browser.cors_origins)
    app.add_middleware(
        RequestMiddleware,
        latencies=app.state.latencies,
        refusals=refusals,
        always_secure=settings.browser.session_secure,
    )
    app.routes.extend([*direct.ROUTES, studio.FILES])
    checks = [Depends(request_checks.check_parameters)]
    for resource in (
        *(jobs, derive, outputs, catalog, backgrounds, webhooks, deliveries),
        *(uploads, live, recipes, tenant_pictures, batches, choices),
        *(keys, session, tenants, operator),
    ):
        app.include_router(resource.router, dependencies=checks)
    # Probes, browsers and programs written for remove.bg may send parameters that are not read.
    for resource in (health, removebg, sign_in, studio, reference):
        app.include_router(resource.router)
    for resource in (health, studio):
        app.include_router(resource.operators_router)
    app.openapi = cache(partial(openapi.build_document, app))  # type: ignore[method-assign]  # documented by FastAPI
    app.state.description = cache(partial(_description_file, app))
    return app


def end_waits(app: FastAPI) -> None:
    """Let requests that wait be answered now: the server stops."""
    app.state.services.events.end_waits()


def _description_file(app: FastAPI) -> documents.StaticFile:
    document = json.dumps(app.openapi(), ensure_ascii=False, separators=(",", ":"))
    return documents.prepare_file("openapi.json", document.encode())
