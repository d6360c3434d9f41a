"""What a server has to offer: models and backgrounds."""

from smart_filter_client.flows import Flow, Server
from smart_filter_client.models import Model, Preset, model_from, preset_from
from smart_filter_client.operations.listing import whole
from smart_filter_client.operations.outputs import Output, whole_file
from smart_filter_client.requests import path


def models(server: Server, *, every: bool = False) -> Flow[list[Model]]:
    """Return the models that the server offers, or every one that it knows."""
    return (yield from whole(server, path("models"), model_from, {"all": "true"} if every else {}))


def backgrounds(server: Server) -> Flow[list[Preset]]:
    """Return the backgrounds that `preset:NAME` may ask for."""
    return (yield from whole(server, path("backgrounds"), preset_from, {}))


def thumbnail(server: Server, name: str) -> Flow[Output]:
    """Return what a background such as `sunrise` or `site/lobby` looks like, small."""
    # A slash parts names: as %2F some proxies refuse it.
    return (yield from whole_file(server, path("backgrounds", *name.split("/"), "thumbnail")))
