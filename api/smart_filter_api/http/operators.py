"""Routes for operators, which the API serves only at its operators' port."""

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope

from smart_filter_shared.security.operators_port import is_operators_request


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
