"""Measure `derive` with another background, compared with a new job for the same photo.

python -m benchmarks.deriving
"""

import time

import httpx

from benchmarks import figures, photos, service
from benchmarks.figures import Figure
from benchmarks.service import Service
from smart_filter_client import Client

_WARM_UP = 2
_PHOTOS = 15
_WAIT_SECONDS = 60
_COLORS = ("color:red", "color:green")


def measure() -> list[Figure]:
    """Send selfies of 1 and 12 MP, derive each with another background, and return all times."""
    with service.folder() as data, service.up(data) as running:
        return [
            *_measure_size(running, "1 MP", photos.SIDE_OF_1_MP),
            *_measure_size(running, "12 MP", photos.SIDE_OF_12_MP),
        ]


def _measure_size(running: Service, name: str, side: int) -> list[Figure]:
    new_job_ms: list[float] = []
    derived_ms: list[float] = []
    headers = {"Authorization": f"Bearer {running.api_key}"}
    selfies = photos.selfies(side)
    with httpx.Client(base_url=running.client.url, headers=headers, timeout=_WAIT_SECONDS) as http:
        for _ in range(_WARM_UP + _PHOTOS):
            started_at = time.perf_counter()
            parent = running.client.submit(next(selfies), {"background": _COLORS[0]}).id
            _await(running.client, parent)
            new_job_ms.append(1000 * (time.perf_counter() - started_at))
            started_at = time.perf_counter()
            _await(running.client, _derive(http, parent))
            derived_ms.append(1000 * (time.perf_counter() - started_at))
    return [
        Figure(
            name=f"{name} selfie on a color, end to end", unit="ms", samples=new_job_ms[_WARM_UP:]
        ),
        Figure(
            name=f"{name}: derived from it, another color", unit="ms", samples=derived_ms[_WARM_UP:]
        ),
    ]


def _derive(http: httpx.Client, parent: str) -> str:
    answer = http.post(f"/v1/jobs/{parent}/derive", json={"recipe": {"background": _COLORS[1]}})
    answer.raise_for_status()
    return str(answer.json()["id"])


def _await(client: Client, job_id: str) -> None:
    job = client.wait(job_id, _WAIT_SECONDS)
    if not job.succeeded:
        raise RuntimeError(f"job {job.id} {job.state}: {job.error}")


if __name__ == "__main__":
    figures.print_figures(measure())
