"""Rules for the routes of the API."""

import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from pkgutil import walk_packages

from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

import smart_filter_api
from smart_filter_api.routes.direct import ROUTES


def routes() -> Iterator[APIRoute]:
    for found in walk_packages(smart_filter_api.__path__, f"{smart_filter_api.__name__}."):
        for value in vars(import_module(found.name)).values():
            if isinstance(value, APIRouter):
                yield from (route for route in value.routes if isinstance(route, APIRoute))


def dependencies(of: Dependant) -> Iterator[Callable[..., object]]:
    for dependency in of.dependencies:
        assert dependency.call is not None
        yield dependency.call
        yield from dependencies(dependency)


def is_async(call: Callable[..., object]) -> bool:
    function = call if inspect.isroutine(call) else type(call).__call__
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def test_dependencies_need_no_thread() -> None:
    # FastAPI calls each that is not `async` in a thread, for every request.
    called = {call for route in routes() for call in dependencies(route.dependant)}

    assert len(called) > 20
    assert [call for call in called if not is_async(call)] == []


def test_direct_routes_do_what_fastapi_does_for_the_same_operations() -> None:
    # A dependency of one of these operations must be resolved in `routes/direct.py` too.
    resolved = {
        (method, route.path): {getattr(call, "__name__", "") for call in dependencies(dependant)}
        for route in routes()
        for method in route.methods
        for dependant in [route.dependant]
    }
    shared = {"_get_services", ""}

    assert {(one.method, one.path): resolved[one.method, one.path] - shared for one in ROUTES} == {
        ("POST", "/v1/jobs"): {
            *("authenticated", "read_link_terms", "_yield_accept", "read_preferences")
        },
        ("GET", "/v1/jobs/{job_id}"): {"authenticated", "read_link_terms", "read_preferences"},
        ("GET", "/v1/jobs/{job_id}/outputs/{name}"): {"_authorize", "_hold_download"},
    }
