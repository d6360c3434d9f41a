"""Call every operation of a real service, and record the exchanges as OpenAPI's examples.

    make examples

A new operation needs a new stop of the tour. Generated keys and secrets are replaced by invalid
ones; lists are cut to a few items.
"""

import base64
import datetime as dt
import io
import json
import re
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from PIL import Image

from smart_filter_api.openapi import bodies as openapi_examples
from smart_filter_docs import api_documents
from smart_filter_shared.config import paths
from smart_filter_tests.full_stack import ENGINE, KEY, PHOTO, RunningStack, run_stack

FILE = Path(openapi_examples.__file__).parent / "examples.json"
_MOST_ITEMS = 2
_MOST_LINES = 12
_FORM = "multipart/form-data"
_JSON = "application/json"
_SECRETS = (
    (re.compile(re.escape(KEY)), "sf_live_" + "x" * 43),
    (re.compile(r'(?<="csrf_token": ")[^"]+'), "x" * 43),
    (re.compile(r'(?<="token": ")[^"]+'), "x" * 43 + "." + "x" * 43),
    (re.compile(r"sf_live_[A-Za-z0-9_-]{43}"), "sf_live_" + "x" * 43),
    (re.compile(r"(?<=X-Amz-)(Credential|Signature|Security-Token)=[^&\"]+"), r"\1=example"),
    (re.compile(r"(?<=&signature=)[A-Za-z0-9_-]+"), "x" * 43),
    (re.compile(r"http://127\.0\.0\.1:[0-9]+/"), "https://storage.example.org/"),
    (re.compile(r"whsec_[A-Za-z0-9+/=]{20,}"), "whsec_" + base64.b64encode(b"x" * 32).decode()),
)


@dataclass(slots=True)
class Tour:
    """The recorded requests and answers, by operationId."""

    client: httpx.Client
    document: dict[str, Any]
    exchanges: dict[str, dict[str, list[dict[str, Any]]]] = field(default_factory=dict)

    def stop(
        self,
        operation_id: str,
        label: str,
        /,
        *,
        json_body: object = None,
        files: Mapping[str, bytes] | None = None,
        content: bytes | None = None,
        form: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        **names: str,
    ) -> httpx.Response:
        """Call an operation, record the exchange under a label, and return the answer."""
        method, path = next(
            (method, path)
            for path, methods in self.document["paths"].items()
            for method, operation in methods.items()
            if operation["operationId"] == operation_id
        )
        answer = self.client.request(
            method,
            path.format(**names),
            json=json_body,
            content=content,
            files={key: (f"{key}.jpg", content) for key, content in (files or {}).items()} or None,
            data=dict(form or {}) or None,
            headers=dict(headers or {}),
            params=dict(params or {}),
        )
        assert answer.status_code < httpx.codes.BAD_REQUEST, (operation_id, answer.text)
        exchange = self.exchanges.setdefault(operation_id, {"asked": [], "answered": []})
        if json_body is not None:
            exchange["asked"].append({"name": label, "media_type": _JSON, "value": json_body})
        elif files:
            shown = {key: f"(the bytes of {key}.jpg)" for key in files} | dict(form or {})
            exchange["asked"].append({"name": label, "media_type": _FORM, "value": shown})
        media_type = answer.headers.get("content-type", "").partition(";")[0]
        if answer.content and not media_type.startswith("image/"):
            example = {"name": label, "status": answer.status_code, "media_type": media_type}
            exchange["answered"].append(example | {"value": _shown(answer)})
        return answer


def _shown(answer: httpx.Response) -> object:
    if answer.headers["content-type"].startswith(_JSON):
        return _cut(answer.json())
    lines = answer.text.splitlines(keepends=True)
    return "".join(lines[:_MOST_LINES])


def _cut(value: object) -> object:
    """Return a page with its first items, and a history with its first steps."""
    if not isinstance(value, dict):
        return value
    listed = ("items", "queues", "workers")
    cut = {name: value[name][:_MOST_ITEMS] for name in listed if isinstance(value.get(name), list)}
    if "step_seconds" in value:
        cut["jobs"] = _first_steps(value["jobs"])
        cut["queues"] = [_first_steps(queue) for queue in cut["queues"]]
    return {**value, **cut}


def _first_steps(history: dict[str, Any]) -> dict[str, Any]:
    return {
        name: items[:_MOST_ITEMS] if isinstance(items, list) else items
        for name, items in history.items()
    }


def walk(stack: RunningStack) -> dict[str, Any]:
    """Call every operation; return the content of examples.json."""
    document = stack.operators.get("/openapi.json").json()
    tour = Tour(stack.operators, document)
    events = {
        f"job.{job['state']}": {
            "type": f"job.{job['state']}",
            "timestamp": job["finished_at"],
            "data": job,
        }
        for job in _jobs(tour, stack)
    }
    _deriving(tour, stack)
    events["batch.finished"] = _batches(tour)
    _lists(tour)
    _recipes(tour)
    _pictures(tour, stack)
    _uploads(tour)
    _webhooks(tour)
    _keys(tour)
    _tenants(tour)
    _operating(tour)
    return {**tour.exchanges, "webhooks": events}


def _jobs(tour: Tour, stack: RunningStack) -> list[dict[str, Any]]:
    """Call the operations of jobs; return a succeeded, a failed and a canceled job."""
    outputs = ["image", "faces", "rating"]
    wanted = {"background": "keywords:sunset", "outputs": outputs, "seed": 7}
    photo = {"photo": _jpeg(PHOTO.read_bytes())}
    job_id = tour.stop("submitJob", "form", files=photo, form=wanted).json()["id"]
    stack.wait(job_id)
    ended = tour.stop("getJob", "succeeded", job_id=job_id).json()
    tour.stop("streamJobEvents", "events", job_id=job_id)
    tour.stop("getOutput", "faces", job_id=job_id, name="faces")
    tour.stop("getOutput", "rating", job_id=job_id, name="rating")
    tour.stop("getPhoto", "upright", job_id=job_id)
    speck = base64.b64encode(_jpeg(PHOTO.read_bytes(), side=8)).decode()
    body = {"photo_base64": speck, "recipe": {"background": "keep", "crop": False}}
    waits = {"Prefer": "wait=10"}
    tour.stop("submitJob", "json_and_wait", json_body=body, headers=waits)
    later = {"photo_base64": speck, "recipe": {"run_at": _next_week()}}
    late_id = stack.operators.post("/v1/jobs", json=later).json()["id"]
    canceled = tour.stop("cancelJob", "canceled", job_id=late_id).json()
    person_required = {"background": "keep", "require_person": "true"}
    files = {"photo": _jpeg(PHOTO.read_bytes(), side=8)}
    failed_id = stack.operators.post("/v1/jobs", files=files, data=person_required).json()["id"]
    failed = stack.wait(failed_id)
    tour.stop("redriveJob", "again", job_id=failed_id)
    stack.wait(failed_id)
    tour.stop("listJobs", "newest", params={"limit": "1"})
    tour.stop("deleteJob", "deleted", job_id=failed_id)
    return [ended, failed, canceled]


def _next_week() -> str:
    """Return a time until which a job waits."""
    return (dt.datetime.now(dt.UTC) + dt.timedelta(days=7)).isoformat(timespec="seconds")


def _deriving(tour: Tour, stack: RunningStack) -> None:
    photo = {"photo": _jpeg(PHOTO.read_bytes())}
    asked = {"background": "keywords:sunset", "outputs": "image,rating"}
    job_id = stack.operators.post("/v1/jobs", files=photo, data=asked).json()["id"]
    stack.wait(job_id)
    strokes = [{"points": [[150, 90], [165, 120.5]], "width": 12, "keep": False}]
    lines = {"kind": "matte", "stage": "segmentation", "strokes": strokes, "consent": False}
    tour.stop("createCorrection", "strokes", job_id=job_id, json_body=lines)
    label = {"faces": [{"number": 1, "smile": "mild", "left_open": True}]}
    smile = {"kind": "label", "stage": "smile", "label": label, "consent": True}
    correction = tour.stop("createCorrection", "label", job_id=job_id, json_body=smile).json()
    tour.stop("listCorrections", "both", job_id=job_id)
    blurred = {"recipe": {"background": "blur:0.5"}}
    tour.stop("deriveJob", "other_background", job_id=job_id, json_body=blurred)
    file = {"background_file": _jpeg(PHOTO.read_bytes(), side=8)}
    tour.stop("deriveJob", "own_background", job_id=job_id, files=file)
    corrected = {"correction_id": correction["id"]}
    waits = {"Prefer": "wait=30"}
    tour.stop("deriveJob", "corrected", job_id=job_id, json_body=corrected, headers=waits)


def _batches(tour: Tour) -> dict[str, Any]:
    """Call the operations of batches; return the event of a finished album."""
    photos = [base64.b64encode(_jpeg(PHOTO.read_bytes(), side=side)).decode() for side in (8, 9)]
    items: list[dict[str, Any]] = [{"photo_base64": photo} for photo in photos]
    settings = {"metadata": {"who": "ann"}, "recipe": {"background": "keep", "quality": 80}}
    album = {"items": [items[0] | settings, items[1]], "album": {"best": 1}}
    waits = {"Prefer": "wait=30"}
    ranked = tour.stop("createBatch", "album", json_body=album, headers=waits).json()
    tour.stop("getBatch", "ranked_album", batch_id=ranked["id"])
    follows = tour.stop("streamBatchEvents", "events", batch_id=ranked["id"])
    refused = {"photo_url": "https://example.org/a.jpg", "recipe": {"margin": "wide"}}
    later = {"items": [items[0], refused], "recipe": {"run_at": _next_week()}}
    late_id = tour.stop("createBatch", "one_refused", json_body=later).json()["id"]
    tour.stop("cancelBatch", "canceled", batch_id=late_id)
    tour.stop("listBatches", "newest")
    _choices(tour)
    tour.stop("deleteBatch", "deleted", batch_id=late_id)
    last = [line for line in follows.text.splitlines() if line.startswith("data: ")][-1]
    event: dict[str, Any] = json.loads(last.removeprefix("data: "))
    return event


def _choices(tour: Tour) -> None:
    wanted = {"all": True, "state": "succeeded"}
    choice = tour.stop("createChoice", "all_finished", json_body=wanted).json()["id"]
    tour.stop("getChoice", "counted", choice_id=choice)
    tour.stop("listChosenPictures", "named", choice_id=choice)
    blurred = {"recipe": {"background": "blur:0.6"}}
    tour.stop("deriveChoice", "blurred", choice_id=choice, json_body=blurred)
    file = {"background_file": _jpeg(PHOTO.read_bytes(), side=8)}
    tour.stop("deriveChoice", "own_background", choice_id=choice, files=file)
    tour.stop("removeVersions", "removed", choice_id=choice)
    tour.stop("redriveChoice", "redriven", choice_id=choice)
    tour.stop("cancelChoice", "canceled", choice_id=choice)
    tour.stop("deleteChoice", "deleted", choice_id=choice)
    tour.stop("resumeChoice", "restored", choice_id=choice)


def _lists(tour: Tour) -> None:
    for operation_id in (
        *("listModels", "listBackgrounds", "listKeywords", "listFilters"),
        "getUsage",
        *("getLiveness", "getReadiness", "getMetrics"),
    ):
        tour.stop(operation_id, "all")
    tour.stop("getBackgroundThumbnail", "design", name="sunrise")
    tour.stop("explainProblem", "not_found", code="not_found")


def _recipes(tour: Tour) -> None:
    name = "spring-shop"
    fields = {"background": "preset:linen", "size": "1080x1350", "filename": "{name}-{background}"}
    tour.stop("updateRecipe", "shop", recipe_name=name, json_body={"recipe": fields})
    tour.stop("listRecipes", "all")
    tour.stop("getRecipe", "shop", recipe_name=name)
    tour.stop("deleteRecipe", "deleted", recipe_name=name)


def _pictures(tour: Tour, stack: RunningStack) -> None:
    photo, name = _jpeg(PHOTO.read_bytes()), "lobby-wall"
    tour.stop("uploadTenantPicture", "wall", picture_name="Lobby wall.jpg", content=photo)
    while stack.operators.get("/v1/backgrounds/tenant/lobby-wall").json()["state"] == "pending":
        time.sleep(0.1)
    tour.stop("uploadTenantPicture", "again", picture_name=name, content=photo)
    tour.stop("listTenantPictures", "all")
    tour.stop("getTenantPicture", "ready", picture_name=name)
    tour.stop("deleteTenantPicture", "deleted", picture_name=name)


def _uploads(tour: Tour) -> None:
    photo = _jpeg(PHOTO.read_bytes())
    wish = {"content_type": "image/jpeg", "bytes": len(photo)}
    upload = tour.stop("createUpload", "jpeg", json_body=wish).json()
    # Its address is public, and this service's is not.
    address = urlsplit(upload["put_url"])._replace(scheme="", netloc="").geturl()
    sent = tour.client.put(address, content=photo, headers=upload["headers"])
    sent.raise_for_status()
    tour.stop("uploadPhoto", "through_the_service", upload_id=upload["upload_id"], content=photo)
    body = {"upload_id": upload["upload_id"], "recipe": {"background": "blur:0.5"}}
    tour.stop("submitJob", "upload", json_body=body)
    tour.stop("startLive", "studio", json_body={"background": "preset:studio"})


def _webhooks(tour: Tour) -> None:
    wish = {"url": "https://example.org/told", "events": ["job.succeeded", "job.failed"]}
    webhook_id = tour.stop("createWebhook", "two_events", json_body=wish).json()["id"]
    tour.stop("listWebhooks", "all")
    tour.stop("getWebhook", "enabled", webhook_id=webhook_id)
    tour.stop("rotateWebhookSecret", "rotated", webhook_id=webhook_id)
    delivery_id = tour.stop("sendTestEvent", "test", webhook_id=webhook_id).json()["id"]
    tour.stop("listDeliveries", "newest", webhook_id=webhook_id)
    tour.stop("replayDelivery", "one", webhook_id=webhook_id, delivery_id=delivery_id)
    tour.stop("replayFailedDeliveries", "all_failed", webhook_id=webhook_id)
    tour.stop("updateWebhook", "pause", webhook_id=webhook_id, json_body={"enabled": False})
    tour.stop("deleteWebhook", "deleted", webhook_id=webhook_id)
    tour.stop("listEvents", "since_a_cursor", params={"cursor": "0"})


def _tenants(tour: Tour) -> None:
    tour.stop("getTenant", "own", tenant="local")
    change = {"recipe": {"background": "keep", "format": "webp"}, "keep_result_seconds": 3600}
    tour.stop("updateTenant", "defaults", tenant="local", json_body=change)
    tour.stop("signIn", "with_a_key", json_body={"key": KEY})
    token = {"X-CSRF-Token": tour.stop("getSession", "own").json()["csrf_token"]}
    (mine,) = tour.stop("listSessions", "all").json()["items"]
    tour.stop("deleteSession", "ended", session_id=mine["session_id"], headers=token)
    tour.stop("signIn", "with_a_key", json_body={"key": KEY})
    token = {"X-CSRF-Token": tour.stop("getSession", "own").json()["csrf_token"]}
    tour.stop("signOut", "ended", headers=token)


def _operating(tour: Tour) -> None:
    standing = tour.stop("getServiceState", "now").json()
    tour.stop("getServiceHistory", "hour", params={"span": "hour"})
    tour.stop("listBusiestTenants", "all")
    tour.stop("countMovableJobs", "own", tenant="local")
    tour.stop("cancelTenantJobs", "all", tenant="local")
    tour.stop("redriveTenantJobs", "all", tenant="local")
    queue = standing["queues"][0]["capability"]
    tour.stop("pauseQueue", "paused", capability=queue)
    tour.stop("resumeQueue", "resumed", capability=queue)
    worker = standing["workers"][0]["worker_id"]
    tour.stop("drainWorker", "draining", worker_id=worker)
    tour.stop("undrainWorker", "ready", worker_id=worker)


def _keys(tour: Tour) -> None:
    wish = {"scopes": ["submit", "read"], "expires_in_seconds": 2_592_000}
    key_id = tour.stop("createKey", "a_month", json_body=wish).json()["key_id"]
    phone = {"scopes": ["submit"], "ttl_seconds": 600, "max_jobs": 3}
    tour.stop("createToken", "phone", json_body=phone)
    tour.stop("listKeys", "all")
    tour.stop("revokeKey", "revoked", key_id=key_id)
    tour.stop("listAuditEvents", "newest", params={"limit": "2"})


def _jpeg(photo: bytes, *, side: int = 512) -> bytes:
    picture = Image.open(io.BytesIO(photo)).convert("RGB")
    picture.thumbnail((side, side))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=70)
    return buffer.getvalue()


def main() -> None:
    """Record all examples again, and write the documents that contain them."""
    settings = {
        **ENGINE,
        "SMART_FILTER_SECRETS_KEY": "s" * 32,
        "SMART_FILTER_PUBLIC_URL": "https://photos.example.org",
        "SMART_FILTER_LIVE_URL": "wss://live.example.org",
        "SMART_FILTER_LIVE_SECRET": "l" * 32,
    }
    with tempfile.TemporaryDirectory(prefix="smart-filter-tour-") as folder:
        Path(folder).chmod(0o711)
        weights = paths.data_folder() / "weights"
        with run_stack(Path(folder) / "stack", weights, settings) as stack:
            recorded = json.dumps(walk(stack), indent=1, sort_keys=True, ensure_ascii=False)
    for secret, shown in _SECRETS:
        recorded = secret.sub(shown, recorded)
    FILE.write_text(recorded + "\n")
    api_documents.main()


if __name__ == "__main__":
    main()
