"""The application: routes, errors and services put together."""

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache, partial
from importlib.metadata import version

import anyio.to_thread
from fastapi import FastAPI

from smart_filter_api import deps, held, live, problems
from smart_filter_api.browsers import cross_origin
from smart_filter_api.envelope import Envelope
from smart_filter_api.latencies import Latencies
from smart_filter_api.openapi import document as openapi
from smart_filter_api.removebg import errors
from smart_filter_api.removebg import route as removebg
from smart_filter_api.routes import (
    backgrounds,
    batches,
    deliveries,
    deriving,
    description,
    explanations,
    filters,
    health,
    jobs,
    keys,
    metrics,
    models,
    operating,
    outputs,
    photo,
    session,
    tenants,
    uploads,
    usage,
    webhooks,
)
from smart_filter_api.routes import live as live_video
from smart_filter_api.studio import route as studio
from smart_filter_shared.settings import Settings
from smart_filter_shared.telemetry.tracing import UNTOLD, Traces


def create(
    settings: Settings,
    *,
    traces: Traces = UNTOLD,
    clock: Callable[[], float] = time.monotonic,
) -> FastAPI:
    """Return the application; its services open when it starts to serve.

    traces: where it tells what was submitted; closed when it ends.  clock: monotonic
    seconds, by which remembered values grow old.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with deps.opened(settings, clock=clock) as services:
            app.state.services = services
            try:
                yield
            finally:
                await anyio.to_thread.run_sync(traces.close)

    app = FastAPI(
        title="Smart Filter",
        summary="People cut out of photos, their smiles rated, their background replaced.",
        version=version("smart-filter"),
        lifespan=lifespan,
        # FastAPI's own route writes the whole document anew each time; the pages that show it
        # would load scripts from elsewhere.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=openapi.operation_id,
    )
    problems.install(app)
    errors.install(app)
    app.state.latencies = Latencies()
    app.state.traces = traces
    app.state.live = live.of(settings.live)
    app.add_middleware(Envelope, latencies=app.state.latencies)
    cross_origin.install(app, settings.browser.cors_origins)
    for resource in (
        *(jobs, deriving, outputs, photo, models, backgrounds, filters, webhooks, deliveries),
        *(uploads, live_video, batches, keys, session, tenants, usage, operating),
        *(removebg, health, metrics, explanations, description, studio),
    ):
        app.include_router(resource.router)
    app.openapi = cache(partial(openapi.schema, app))  # type: ignore[method-assign]  # FastAPI's own way
    app.state.description = cache(partial(_description, app))
    return app


def _description(app: FastAPI) -> held.File:
    document = json.dumps(app.openapi(), ensure_ascii=False, separators=(",", ":"))
    return held.file(document.encode(), "application/json")
