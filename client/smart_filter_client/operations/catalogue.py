"""What a server has to offer."""

from smart_filter_client.flows import Flow, Server
from smart_filter_client.models import Model, model_from
from smart_filter_client.operations.listing import whole
from smart_filter_client.requests import path


def models(server: Server, *, every: bool = False) -> Flow[list[Model]]:
    """Return the models that the server offers, or every one that it knows."""
    return (yield from whole(server, path("models"), model_from, {"all": "true"} if every else {}))
