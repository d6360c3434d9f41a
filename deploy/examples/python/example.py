"""Submit photos concurrently, receive webhooks of their ends, verify them, fetch the pictures.

    SMART_FILTER_URL=… SMART_FILTER_API_KEY=… python example.py FOLDER PHOTO…

The key needs all scopes, because the example creates a webhook of its own and deletes it at the
end. A real server creates its webhook once, and stores the secret.
"""

import asyncio
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from smart_filter_client import AsyncClient, Event, verify_webhook
from smart_filter_client.errors import NotGenuine

HOST = "127.0.0.1"


class Receiver(HTTPServer):
    """Receives webhooks; passes on genuine events."""

    secrets: tuple[str, ...] = ()  # none yet, so no request is genuine
    tell: Callable[[Event], object]


class Request(BaseHTTPRequestHandler):
    """One request to the webhook."""

    server: Receiver

    def do_POST(self) -> None:
        # The raw bytes: a body that was parsed and serialized again has another signature.
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            event = verify_webhook(self.server.secrets, dict(self.headers), body)
        except NotGenuine:
            self.send_response(400)
            self.end_headers()
            return
        self.send_response(204)  # respond first, then do the work
        self.end_headers()
        self.server.tell(event)


async def main(folder: Path, photos: list[Path]) -> None:
    """Process photos concurrently, and write their pictures to a folder."""
    ends: dict[str, asyncio.Future[Event]] = {}
    loop = asyncio.get_running_loop()

    def keep(event: Event) -> None:
        # An event can come more than once, and the tenant can have other jobs too.
        end = ends.setdefault(event.job.id if event.job else "", loop.create_future())
        if not end.done():
            end.set_result(event)

    async def through(client: AsyncClient, photo: Path) -> None:
        job = await client.submit(photo, {"background": "transparent", "metadata.order": "17"})
        event = await ends.setdefault(job.id, loop.create_future())
        if event.type != "job.succeeded":
            raise RuntimeError(f"{photo}: {event.data['error']}")
        picture = await client.download(job.id, "image", folder / f"{photo.stem}.png")
        print(json.dumps({"id": job.id, "type": event.type, "picture": str(picture)}))

    url, key = os.environ["SMART_FILTER_URL"], os.environ["SMART_FILTER_API_KEY"]
    with receiving(lambda event: loop.call_soon_threadsafe(keep, event)) as receiver:
        async with AsyncClient(url, key) as client:
            webhook = await client.create_webhook(f"http://{HOST}:{receiver.server_port}/")
            receiver.secrets = (webhook.secret,)
            try:
                await asyncio.gather(*(through(client, photo) for photo in photos))
            finally:
                await client.delete_webhook(webhook.id)


@contextmanager
def receiving(tell: Callable[[Event], object]) -> Iterator[Receiver]:
    """Receive webhooks in a thread for the duration of the block."""
    with Receiver((HOST, 0), Request) as receiver:
        receiver.tell = tell
        thread = threading.Thread(target=receiver.serve_forever)
        thread.start()
        try:
            yield receiver
        finally:
            receiver.shutdown()
            thread.join()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]))
