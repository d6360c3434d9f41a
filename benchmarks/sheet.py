"""Measure the studio's sheet of 2,000 photos in Chromium, with 60 ms to the server.

PYTHONPATH=tests python -m benchmarks.sheet

The server is the studio's own files before a list of jobs in memory, so that the page is measured
and not the machine's other work. Every visit has an empty cache. A task's own processor time is
measured too, because on a busy machine it takes several times as long.
"""

import asyncio
import json
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from playwright.sync_api import Browser, Page

from benchmarks import figures, photos
from smart_filter_api.studio import route
from smart_filter_deploy.embedded.addresses import LOOPBACK, free_port
from smart_filter_tests.browsing import camera
from smart_filter_tests.browsing.chromium import chromium

PHOTOS: Final = 2000
_LATENCY_MS: Final = 60
_VISITS: Final = 5
_DOCUMENTS: Final = Path(__file__).parents[1] / "docs" / "openapi.json"
# Notes when the first picture of a card is painted, and the longest task.
_NOTE: Final = """
globalThis.noted = { painted: null, longest: 0 };
const look = () => {
  const pictures = [...document.querySelectorAll(".card .picture img")];
  if (!pictures.some((it) => it.complete && it.naturalWidth > 0)) requestAnimationFrame(look);
  else noted.painted = performance.now();
};
requestAnimationFrame(look);
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) noted.longest = Math.max(noted.longest, duration);
}).observe({ type: "longtask", buffered: true });
"""
_REQUESTS: Final = """() => performance.getEntriesByType("resource")
  .filter(({ responseEnd }) => responseEnd > 0 && responseEnd < noted.painted).length"""
_SCROLL: Final = """async () => {
  const pause = (ms) => new Promise((done) => setTimeout(done, ms));
  for (let still = 0; still < 20;) {
    const before = document.body.scrollHeight;
    scrollBy(0, innerHeight);
    await pause(100);
    const isAtEnd = scrollY + innerHeight >= before - 2 && !document.querySelector(".older");
    still = isAtEnd && before === document.body.scrollHeight ? still + 1 : 0;
  }
}"""


def measure() -> list[figures.Figure]:
    """Return the time to the first picture, what it takes, and the page's memory."""
    painted, requests, load = [], [], []
    with _served() as url, _browser() as browser:
        for _ in range(_VISITS):
            page = _visit(browser, url)
            painted.append(page.evaluate("noted.painted") / 1000)
            requests.append(page.evaluate(_REQUESTS))
            load.append(os.getloadavg()[0])
            page.context.close()
        with _traced(browser) as trace:
            page = _visit(browser, url)
            heap = [_heap_mb(page)]
            page.evaluate(_SCROLL)
            longest = page.evaluate("noted.longest")
        heap.append(_heap_mb(page))
    return [
        figures.Figure(name="first picture of a cold page", unit="s", samples=painted, goal=1.5),
        figures.Figure(name="files until then", unit="", samples=requests),
        figures.Figure(name="heap at the top", unit="MB", samples=heap[:1]),
        figures.Figure(name=f"heap after {PHOTOS} photos", unit="MB", samples=heap[1:]),
        figures.Figure(
            name="longest task, its processor time", unit="ms", samples=[_busy_ms(trace)], goal=100
        ),
        figures.Figure(name="longest task, with what interrupts it", unit="ms", samples=[longest]),
        figures.Figure(name="load of the machine meanwhile", unit="", samples=load),
    ]


@contextmanager
def _served() -> Iterator[str]:
    """Yield the address of the studio before a list of jobs."""
    port = free_port()
    config = uvicorn.Config(_app(), host=LOOPBACK, port=port, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{port}"
    finally:
        server.should_exit = True
        thread.join()


def _app() -> FastAPI:
    app = FastAPI()
    app.state.live = None
    app.include_router(route.router)
    app.routes.append(route.FILES)
    template, picture = json.dumps(_example()), next(photos.selfies(320))
    jobs = [_job(template, number) for number in range(PHOTOS)]
    by_id = {job["id"]: job for job in jobs}

    @app.get("/v1/session")
    def session() -> dict[str, Any]:
        return {"csrf_token": "x", "tenant": "local", "scopes": ["read", "submit"]}

    @app.get("/v1/jobs")
    def page(request: Request) -> dict[str, Any]:
        asked = request.query_params
        if "created_after" in asked or "state" in asked:
            return {"items": [], "next_cursor": None}
        first = int(asked.get("cursor", 0))
        end = first + int(asked["limit"])
        return {"items": jobs[first:end], "next_cursor": str(end) if end < PHOTOS else None}

    @app.get("/v1/jobs/{job_id}")
    def job(job_id: str) -> dict[str, Any]:
        return by_id[job_id]

    @app.get("/v1/jobs/{job_id}/{rest:path}")
    def file(job_id: str, rest: str) -> Response:
        del job_id, rest
        return Response(picture, media_type="image/jpeg")

    @app.get("/v1/{rest:path}")
    def other(rest: str) -> Response:
        del rest
        return JSONResponse({"items": [], "next_cursor": None})

    return app


def _example() -> dict[str, Any]:
    """Return the longest finished job of the API's documentation."""
    examples: list[dict[str, Any]] = []

    def walk(node: object) -> None:
        values = node.values() if isinstance(node, dict) else node
        if isinstance(node, dict) and node.get("state") == "succeeded" and "recipe" in node:
            examples.append(node)
        for value in values if isinstance(node, dict | list) else ():  # type: ignore[attr-defined]
            walk(value)

    walk(json.loads(_DOCUMENTS.read_bytes()))
    return max(examples, key=lambda job: len(json.dumps(job)))


def _job(template: str, number: int) -> dict[str, Any]:
    example_id = json.loads(template)["id"]
    # Ids begin with the time; the list is newest first.
    moment = f"{0x01A22CFFFFFF - number:012x}"
    id_ = f"{moment[:8]}-{moment[8:]}-7000-8000-{number:012x}"
    job: dict[str, Any] = json.loads(template.replace(example_id, id_))
    name = {"name": f"IMG_{number:04}.jpg"}
    return {**job, "metadata": name, "parent_id": None, "batch_id": None, "expires_at": None}


@contextmanager
def _browser() -> Iterator[Browser]:
    with (
        tempfile.TemporaryDirectory() as folder,
        chromium(camera.write_film(Path(folder))) as browser,
    ):
        yield browser


def _visit(browser: Browser, url: str) -> Page:
    """Return the sheet once its first picture is painted."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    network = context.new_cdp_session(page)
    conditions = {"offline": False, "downloadThroughput": -1, "uploadThroughput": -1}
    network.send("Network.emulateNetworkConditions", {"latency": _LATENCY_MS, **conditions})
    page.add_init_script(_NOTE)
    page.goto(url)
    while page.evaluate("noted.painted") is None:
        page.wait_for_timeout(50)
    return page


@contextmanager
def _traced(browser: Browser) -> Iterator[list[dict[str, Any]]]:
    """Yield a list that holds the browser's trace of the block after it."""
    trace: list[dict[str, Any]] = []
    ends: list[object] = []
    devtools = browser.new_browser_cdp_session()
    devtools.on("Tracing.dataCollected", lambda part: trace.extend(part["value"]))
    devtools.on("Tracing.tracingComplete", lambda end: ends.append(end))  # noqa: PLW0108
    config = {"includedCategories": ["devtools.timeline", "toplevel"]}
    devtools.send("Tracing.start", {"transferMode": "ReportEvents", "traceConfig": config})
    yield trace
    devtools.send("Tracing.end")
    page = browser.contexts[-1].pages[-1]
    while not ends:
        page.wait_for_timeout(50)


def _busy_ms(trace: list[dict[str, Any]]) -> float:
    """Return the longest processor time of a task in the thread that read the page's HTML."""
    threads = {
        (event["pid"], event["tid"])
        for event in trace
        if event.get("name") == "ParseHTML"
        and event["args"]["beginData"].get("url", "").startswith(f"http://{LOOPBACK}")
    }
    microseconds: list[int] = [
        event.get("tdur", 0)
        for event in trace
        if event.get("name", "").endswith("RunTask") and (event["pid"], event["tid"]) in threads
    ]
    return max(microseconds) / 1000


def _heap_mb(page: Page) -> float:
    """Return the page's heap after a collection."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("HeapProfiler.collectGarbage")
    used: float = devtools.send("Runtime.getHeapUsage")["usedSize"]
    return used / 1e6


if __name__ == "__main__":
    figures.print_figures(measure())
