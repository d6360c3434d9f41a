"""The Python client of a Smart Filter server; needs only httpx.

    with Client("http://127.0.0.1:8000", api_key) as client:
        job = client.submit(Path("photo.jpg"), {"background": "color:navy"})
        job = client.wait(job.id)
        client.download(job.id, "image", Path("cut-out.jpg"))

`AsyncClient` has the same methods, awaited; docs/client.md describes them.

client, async_client          the two clients: one method for each operation of the server
operations                    the implementation of the methods, shared by both, as flows
flows                         the effects that flows yield
sync_runner, async_runner     perform the effects; the only code that exists twice
exchange                      sends requests and retries: backoff, Retry-After, Idempotency-Key
requests, connection          requests, and their conversion to httpx
error_responses, fields, sse  parse responses
models, printability          the contents of responses, as frozen values
webhook_signature             verifies requests to a webhook
errors                        what is raised: ServerUnreachable, Refused with the server's `code`, …
"""

from smart_filter_client.async_client import AsyncClient
from smart_filter_client.client import Client
from smart_filter_client.models import Batch, Event, FaceLabel, Job, Stroke
from smart_filter_client.operations.batches import Item
from smart_filter_client.operations.outputs import Output
from smart_filter_client.operations.photos import Upload
from smart_filter_client.webhook_signature import verify_webhook

__all__ = [
    "AsyncClient",
    "Batch",
    "Client",
    "Event",
    "FaceLabel",
    "Item",
    "Job",
    "Output",
    "Stroke",
    "Upload",
    "verify_webhook",
]
