"""For programs that use a Smart Filter server; needs httpx only.

    with Client("http://127.0.0.1:8000", api_key) as client:
        job = client.submit(Path("photo.jpg"), {"background": "color:navy"})
        job = client.wait(job.id)
        client.download(job.id, "image", Path("cut-out.jpg"))

`AsyncClient` has the same methods, awaited; docs/client.md goes through them.

client, async_client   the two faces: one name for each thing that can be asked of a server
operations             what these do, once for both, as flows (`flows` says what that is)
blocking, awaited      do what flows yield; the only code that there is twice
exchange               asks, and asks again: pauses, Retry-After, Idempotency-Key
requests, connection   what is asked, and how it becomes httpx's
answers, fields, sse   read what is answered
models                 what is answered, as frozen values
verifying              tells whether what came to a webhook is genuine
errors                 what is raised: ServerUnreachable, Refused with the server's own `code`, …
"""

from smart_filter_client.async_client import AsyncClient
from smart_filter_client.client import Client
from smart_filter_client.models import Batch, Event, FaceLabel, Job, Stroke
from smart_filter_client.operations.batches import Item
from smart_filter_client.operations.outputs import Output
from smart_filter_client.operations.photos import Upload
from smart_filter_client.verifying import verify_webhook

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
