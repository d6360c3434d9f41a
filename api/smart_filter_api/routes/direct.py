"""The three hot routes without FastAPI: submit a photo, poll a job, download an output.

FastAPI took a quarter of a poll's time to find the route and to resolve dependencies. These routes
stand before FastAPI's and call the same functions with the same values. They serve requests without
a query; FastAPI serves the others, and describes all of them.
"""

import re
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Final

from fastapi import Request, Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from smart_filter_api.auth import api_keys
from smart_filter_api.http import request_checks
from smart_filter_api.responses import submission as responses_submission
from smart_filter_api.routes import jobs, outputs
from smart_filter_api.routes.outputs import OutputAccess
from smart_filter_api.services import callers
from smart_filter_api.services.container import services_of

# The canonical forms only: another one is FastAPI's to refuse.
_PATTERNS: Final = {
    "{job_id}": "(?P<job_id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})",
    "{name}": "(?P<name>[a-z]+)",
}

# Answers a request; what the stack holds is released when the answer was sent.
Respond = Callable[[Request, ExitStack], Awaitable[Response]]


class DirectRoute(BaseRoute):
    """A route that answers a request without a query by one function.

    method, path: of FastAPI's route for the same operation.
    """

    def __init__(self, method: str, path: str, respond: Respond) -> None:
        self.path = path
        self.method = method
        self._respond = respond
        pattern = path
        for name, form in _PATTERNS.items():
            pattern = pattern.replace(name, form)
        self._pattern = re.compile(pattern)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether the route serves a request, for the router."""
        if scope["type"] != "http" or scope["method"] != self.method or scope["query_string"]:
            return Match.NONE, {}
        match = self._pattern.fullmatch(scope["path"])
        if match is None:
            return Match.NONE, {}
        return Match.FULL, {"route": self, "path_params": match.groupdict()}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope, receive, send)
        await request_checks.check_headers(request)
        await request_checks.check_parameters(request)
        with ExitStack() as until_sent:
            response = await self._respond(request, until_sent)
            await response(scope, receive, send)


async def _submit(request: Request, until_sent: ExitStack) -> Response:
    return await jobs.submit_job(
        request,
        services_of(request),
        await callers.authorize_directly(request, api_keys.Scope.SUBMIT),
        links=await callers.read_link_terms(request),
        picture=responses_submission.read_accept(request, until_sent),
        prefer=await jobs.read_preferences(request),
        idempotency_key=request.headers.get("idempotency-key"),
    )


async def _poll(request: Request, _: ExitStack) -> Response:
    return await jobs.get_job(
        request.path_params["job_id"],
        request,
        services_of(request),
        await callers.authorize_directly(request, api_keys.Scope.READ),
        await callers.read_link_terms(request),
        prefer=await jobs.read_preferences(request),
        if_none_match=request.headers.get("if-none-match"),
    )


async def _download(request: Request, until_sent: ExitStack) -> Response:
    services = services_of(request)
    caller = await callers.authorize_directly(request, api_keys.Scope.READ)
    until_sent.enter_context(services.limits.waits.hold_download(caller.tenant, caller))
    return await outputs.get_output(
        request.path_params["job_id"],
        request.path_params["name"],
        request,
        services,
        OutputAccess(caller.tenant, None, caller=caller),
        if_match=request.headers.get("if-match"),
        if_none_match=request.headers.get("if-none-match"),
        wanted=request.headers.get("range"),
        if_range=request.headers.get("if-range"),
    )


ROUTES: Final = (
    DirectRoute("POST", "/v1/jobs", _submit),
    DirectRoute("GET", "/v1/jobs/{job_id}", _poll),
    DirectRoute("GET", "/v1/jobs/{job_id}/outputs/{name}", _download),
)
