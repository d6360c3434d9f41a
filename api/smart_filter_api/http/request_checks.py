"""Checks of every request before its route: its port, its headers and its query parameters.

A misspelled parameter would otherwise be ignored, and a list would be returned unfiltered.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope

from smart_filter_api.http.middleware import MAX_PARAMETERS
from smart_filter_shared.errors import FieldError, MalformedRequest
from smart_filter_shared.http_servers import is_operators_request
from smart_filter_shared.suggestions import did_you_mean

# Parameters that one answer names, and characters of a name that a suggestion repeats.
_MAX_ERRORS: Final = 20
_MAX_NAME_CHARACTERS: Final = 100
# The parser of its parameters takes quadratic time. A boundary has at most 70 characters.
# Source: RFC 2046, 5.1.1.
_MAX_CONTENT_TYPE_CHARACTERS: Final = 1000


class PrefixedParameters:
    """A dependency that returns the query parameters whose names begin with a prefix.

    The keys of the result are without the prefix.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    async def __call__(self, request: Request) -> dict[str, str]:
        """Return the parameters of a request.  Raises MalformedRequest for NUL characters."""
        values = {}
        for name, value in request.query_params.multi_items():
            if name.startswith(self.prefix):
                if "\0" in name + value:
                    raise MalformedRequest(
                        f"{self.prefix}* cannot contain NUL characters", pointer=f"/{name}"
                    )
                values[name.removeprefix(self.prefix)] = value
        return values


async def check_headers(request: Request) -> None:
    """Raise MalformedRequest for more than one key or idempotency key, or a long Content-Type.

    A dependency of every route. A proxy may have checked the key that is not read here.
    """
    if len(request.headers.get("content-type", "")) > _MAX_CONTENT_TYPE_CHARACTERS:
        raise MalformedRequest(
            f"the Content-Type header has more than {_MAX_CONTENT_TYPE_CHARACTERS} characters",
            pointer="/Content-Type",
        )
    authorizations = request.headers.getlist("authorization")
    keys = request.headers.getlist("x-api-key")
    if len(authorizations) > 1:
        raise MalformedRequest(
            "there is more than one Authorization header; send one", pointer="/Authorization"
        )
    if len(request.headers.getlist("idempotency-key")) > 1:
        raise MalformedRequest(
            "there is more than one Idempotency-Key header; send one", pointer="/Idempotency-Key"
        )
    # The header of a proxy's own password, such as `Basic`, holds no key.
    bearers = [scheme for scheme in authorizations if scheme.lower().startswith("bearer ")]
    if len(keys) + len(bearers) > 1:
        raise MalformedRequest(
            "there is more than one key, in X-Api-Key and Authorization; send one"
            if bearers
            else "there is more than one X-Api-Key header; send one",
            pointer="/X-Api-Key",
        )


async def check_parameters(request: Request) -> None:
    """Raise MalformedRequest for query parameters that are repeated or that the route lacks.

    Each error for an unknown one names the nearest known one. Signed links may have more: mail
    programs and social networks add parameters to the links that they show.
    """
    if request.state.has_query_dropped:
        raise MalformedRequest(f"there are more than {MAX_PARAMETERS} query parameters")
    if not request.query_params:
        return
    dependants = list(_flatten(request.scope["route"].dependant))
    names = [parameter.alias for dependant in dependants for parameter in dependant.query_params]
    prefixes = tuple(
        dependant.call.prefix
        for dependant in dependants
        if isinstance(dependant.call, PrefixedParameters)
    )
    if "signature" in names and "signature" in request.query_params:
        return
    unknown = (
        name for name in request.query_params if name not in names and not name.startswith(prefixes)
    )
    counts = Counter(name for name, _ in request.query_params.multi_items())
    descriptions = itertools.chain(
        ((name, _describe_unknown(name, names, prefixes)) for name in unknown),
        (
            (name, f"is given {times} times; give it once")
            for name, times in counts.items()
            if times > 1
        ),
    )
    # Only the first ones are described: a request line has room for thousands.
    errors = [
        FieldError(f"/{name[:_MAX_NAME_CHARACTERS]}", description)
        for name, description in itertools.islice(descriptions, _MAX_ERRORS)
    ]
    if errors:
        raise MalformedRequest.of_fields(errors)


def _flatten(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for child in dependant.dependencies:
        yield from _flatten(child)


def _describe_unknown(name: str, accepted: Sequence[str], prefixes: Sequence[str]) -> str:
    if not accepted and not prefixes:
        return "is not a query parameter of this operation, which has none"
    rest = name[:_MAX_NAME_CHARACTERS].partition(".")[2]
    hint = did_you_mean(name, [*accepted, *(f"{prefix}{rest}" for prefix in prefixes)])
    names = ", ".join([*accepted, *(f"{prefix}NAME" for prefix in prefixes)])
    return f"is not a query parameter of this operation{hint or f'; it has {names}'}"


class OperatorsRoute(APIRoute):
    """A route that other ports answer as one that does not exist."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether the route serves a request, for the router."""
        if is_operators_request(scope, scope["app"].state.operators_port):
            return super().matches(scope)
        return Match.NONE, {}


def is_from_operator(request: Request) -> bool:
    """Return whether a request arrived at the operators' port."""
    return is_operators_request(request.scope, request.app.state.operators_port)
