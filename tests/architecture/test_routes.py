"""Rules for the routes of the API."""

import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from pkgutil import walk_packages

from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

import smart_filter_api


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
