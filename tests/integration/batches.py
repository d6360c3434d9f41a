"""Submit batches over HTTP, and let the bench do the work of their jobs."""

import base64
from typing import Any

import httpx

from smart_filter_shared.pipeline import StageName
from smart_filter_tests.serving import Api, a_photo
from smart_filter_tests.stages import COMPOSITE
from smart_filter_tests.stored_results import FACTS

PHOTO = base64.b64encode(a_photo()).decode()
KEEP = {"background": "keep"}


def items(count: int, **more: object) -> list[dict[str, object]]:
    return [{"photo_base64": PHOTO, **more} for _ in range(count)]


def post(api: Api, document: object, **headers: str) -> httpx.Response:
    return api.client.post("/v1/batches", json=document, headers=headers)


def submit(api: Api, document: object) -> dict[str, Any]:
    answer = post(api, document)
    assert answer.status_code == 202, answer.text
    batch: dict[str, Any] = answer.json()
    return batch


def batch(api: Api, batch_id: str) -> dict[str, Any]:
    return api.read(f"/v1/batches/{batch_id}")


def finish(api: Api, count: int, *stages: StageName) -> None:
    """Let `count` stages succeed for the jobs; every result file is empty."""
    for stage in stages:
        for _ in range(count):
            file = {"key": "k", "format": "image/jpeg", "width": 4, "height": 4, "bytes": 1}
            files = {"image": {**file, "key": f"{stage} {_}"}} if stage == COMPOSITE else {}
            result = {"facts": FACTS[stage], "arrays": {}, "files": files, "background": None}
            api.finish(stage, result)
