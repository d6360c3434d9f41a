"""A photo that is here already, on another background: what `derive` takes, beside a new job.

python -m benchmarks.deriving
"""

import time

import httpx

from benchmarks import figures, photos, service
from benchmarks.figures import Figure
from smart_filter_client import Client

_WARM_UP = 2
_PHOTOS = 15
_WAIT_SECONDS = 60
_COLOURS = ("color:red", "color:green")


def measure() -> list[Figure]:
    """Send big selfies, and derive each at once with another background."""
    whole: list[float] = []
    again: list[float] = []
    with service.folder() as data, service.up(data) as running:
        headers = {"Authorization": f"Bearer {running.api_key}"}
        selfies = photos.selfies(photos.SIDE_OF_12_MP)
        with httpx.Client(
            base_url=running.client.url, headers=headers, timeout=_WAIT_SECONDS
        ) as http:
            for _ in range(_WARM_UP + _PHOTOS):
                started_at = time.perf_counter()
                parent = running.client.submit(next(selfies), {"background": _COLOURS[0]}).id
                _await(running.client, parent)
                whole.append(1000 * (time.perf_counter() - started_at))
                started_at = time.perf_counter()
                _await(running.client, _derived(http, parent))
                again.append(1000 * (time.perf_counter() - started_at))
    return [
        Figure(name="12 MP selfie on a colour, end to end", unit="ms", samples=whole[_WARM_UP:]),
        Figure(name="derived from it, another colour", unit="ms", samples=again[_WARM_UP:]),
    ]


def _derived(http: httpx.Client, parent: str) -> str:
    answer = http.post(f"/v1/jobs/{parent}/derive", json={"recipe": {"background": _COLOURS[1]}})
    answer.raise_for_status()
    return str(answer.json()["id"])


def _await(client: Client, job_id: str) -> None:
    job = client.wait(job_id, _WAIT_SECONDS)
    if not job.succeeded:
        raise RuntimeError(f"job {job.id} {job.state}: {job.error}")


if __name__ == "__main__":
    figures.tell(measure())
