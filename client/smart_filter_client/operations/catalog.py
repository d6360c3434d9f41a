"""The models and the backgrounds of a server."""

from smart_filter_client.flows import Flow, Server
from smart_filter_client.models import Model, Preset, model_from, preset_from
from smart_filter_client.operations.outputs import Output, fetch_file
from smart_filter_client.operations.pagination import fetch_list
from smart_filter_client.requests import path


def models(server: Server, *, every: bool = False) -> Flow[list[Model]]:
    """Return the offered models, or with `every` all known ones."""
    return (
        yield from fetch_list(server, path("models"), model_from, {"all": "true"} if every else {})
    )


def backgrounds(server: Server) -> Flow[list[Preset]]:
    """Return the backgrounds that `preset:NAME` can name."""
    return (yield from fetch_list(server, path("backgrounds"), preset_from, {}))


def thumbnail(server: Server, name: str) -> Flow[Output]:
    """Return the thumbnail of a background such as `sunrise` or `site/lobby`."""
    # Some proxies refuse a slash in a name as %2F, so it stays a path separator.
    return (yield from fetch_file(server, path("backgrounds", *name.split("/"), "thumbnail")))
