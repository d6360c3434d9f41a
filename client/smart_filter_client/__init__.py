"""The Python client of a Smart Filter server; needs only httpx.

    with Client("http://127.0.0.1:8000", api_key) as client:
        job = client.run(Path("photo.jpg"), {"background": "color:navy"})
        job.save("photo-navy.jpg")

`AsyncClient` has the same methods, awaited; docs/client.md describes them.

client, async_client          the two clients: one method for each operation of the server
operations                    the operations as async functions, the methods of AsyncClient
http                          sends requests and retries; its backends are the only code that
                              exists twice
requests, recipe              what is sent
models, reading               what the client adds to the answers of smart_filter_wire; their parser
files                         writes files that appear complete or not at all
webhook_signature             verifies requests to a webhook
errors                        what is raised: ServerUnreachable, Refused with the server's `code`, …
"""

from smart_filter_client.async_client import AsyncClient
from smart_filter_client.client import Client
from smart_filter_client.models import Batch, Event, Job, Output, Stroke
from smart_filter_client.operations.batches import Item
from smart_filter_client.operations.photos import Upload
from smart_filter_client.recipe import FilterName, Format, Recipe
from smart_filter_client.webhook_signature import verify_webhook
from smart_filter_wire.corrections import FaceChanges, FaceLabel
from smart_filter_wire.words import JobState, OutputName, StageState

__all__ = [
    "AsyncClient",
    "Batch",
    "Client",
    "Event",
    "FaceChanges",
    "FaceLabel",
    "FilterName",
    "Format",
    "Item",
    "Job",
    "JobState",
    "Output",
    "OutputName",
    "Recipe",
    "StageState",
    "Stroke",
    "Upload",
    "verify_webhook",
]
