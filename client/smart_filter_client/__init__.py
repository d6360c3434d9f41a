"""For programs that use a Smart Filter server; needs httpx only.

    with Client("http://127.0.0.1:8000", api_key) as client:
        job = client.submit(Path("photo.jpg"), {"background": "color:navy"})
        job = client.wait(job.id)
        with client.output(job.id, "image") as output:
            output.save(Path("cut-out.jpg"))

client   what can be asked of a server
models   what it answers, as frozen values
errors   what it raises: ServerUnreachable, Refused with the server's own `code`, …
"""

from smart_filter_client.client import Client
from smart_filter_client.models import Job

__all__ = ["Client", "Job"]
