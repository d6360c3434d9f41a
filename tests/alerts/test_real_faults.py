"""Real faults of a real stack make alerts fire; when a fault is mended, its alert stops.

ApiDown, DatabaseDown, QueueStalled and QueuePausedLong fire in
tests/containers/test_stack_observability.py.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import numpy as np
import pytest
from PIL import Image

from smart_filter_tests import videos
from smart_filter_tests.live_worker import LiveWorker
from smart_filter_tests.outages import wait_until
from smart_filter_tests.pictures import encode
from smart_filter_tests.prometheus import Prometheus
from smart_filter_tests.proxy import Mode
from smart_filter_tests.storm import WORKERS, Storm, photo_of
from smart_filter_tests.webhook_receiver import a_receiver
from smart_filter_workers.live import frames

pytestmark = pytest.mark.timeout(900)
# Two workers with four threads each.
THREADS = 8
NAVY = {"background": "color:navy"}
SENDER = "sender"
VIEWERS = 16
# More than one second, and less than the two of each check of readiness.
SLOW_ANSWER_SECONDS = 0.7


def test_no_alert_fires_while_photos_are_processed(stack: Storm, prometheus: Prometheus) -> None:
    fired: set[str] = set()

    def have_ended() -> bool:
        fired.update(prometheus.list_firing())
        return all(stack.running.job(job_id)["finished_at"] for job_id in job_ids)

    job_ids = stack.submit()
    stack.running.until(have_ended)

    assert fired == set()


def test_storage_that_refuses_connections_fires_api_errors(
    stack: Storm, prometheus: Prometheus
) -> None:
    stack.turn("storage", Mode.RESET)
    with requesting(stack.running.client, "POST", "/v1/jobs", files={"photo": photo_of(0)}):
        prometheus.wait_until_firing("ApiErrors")

    stack.turn("storage", Mode.PASS)

    stack.calm_down()
    prometheus.wait_until_silent()


def test_slow_storage_fires_api_slow(stack: Storm, prometheus: Prometheus) -> None:
    stack.proxies["storage"].slow_seconds = SLOW_ANSWER_SECONDS
    stack.turn("storage", Mode.SLOW)
    with requesting(stack.running.operators, "GET", "/readyz"):
        prometheus.wait_until_firing("ApiSlow")
        stack.turn("storage", Mode.PASS)
        prometheus.wait_until_silent()


def test_more_photos_than_threads_fire_queue_wait_high(
    stack: Storm, prometheus: Prometheus
) -> None:
    with occupied_threads(stack):
        late = stack.running.submit(photo_of(0), **NAVY)
        stack.bench.execute("UPDATE stages SET ready_at = ready_at - interval '301 s'")
        prometheus.wait_until_firing("QueueWaitHigh")

    assert stack.running.wait(late)["state"] == "succeeded"
    prometheus.wait_until_silent()


def test_model_that_raises_fires_stage_errors_high(stack: Storm, prometheus: Prometheus) -> None:
    with stack.running.arm("raises") as flag:
        # Where the stage runs ahead, which counts no error, and at its first attempt.
        flag.write_text("2")
        job_id = stack.running.submit(segmentation__model="raises", **NAVY)
        prometheus.wait_until_firing("StageErrorsHigh")

    assert "DeadLettersRising" not in prometheus.list_firing()
    assert stack.running.wait(job_id)["state"] == "succeeded"
    prometheus.wait_until_silent()


def test_killed_worker_fires_workers_lost(stack: Storm, prometheus: Prometheus) -> None:
    with occupied_threads(stack) as job_ids:
        stack.running.stack.kill(WORKERS[0])
        prometheus.wait_until_firing("WorkersLost")

    assert {stack.running.wait(job_id)["state"] for job_id in job_ids} == {"succeeded"}
    prometheus.wait_until_silent()


def test_storage_away_from_workers_fires_worker_backend_unreachable(
    stack: Storm, prometheus: Prometheus
) -> None:
    job_ids = stack.submit()
    stack.turn("storage", Mode.RESET)
    prometheus.wait_until_firing("WorkerBackendUnreachable")

    stack.turn("storage", Mode.PASS)

    assert {stack.running.wait(job_id)["state"] for job_id in job_ids} == {"succeeded"}
    prometheus.wait_until_silent()


def test_model_that_always_raises_fires_dead_letters_rising(
    stack: Storm, prometheus: Prometheus
) -> None:
    with stack.running.arm("raises"):
        job_id = stack.running.submit(segmentation__model="raises", **NAVY)
        prometheus.wait_until_firing("DeadLettersRising")

    assert stack.running.job(job_id)["error"]["code"] == "model_failed"
    prometheus.wait_until_silent()


def test_broker_away_from_workers_fires_workers_unhealthy(
    stack: Storm, prometheus: Prometheus
) -> None:
    stack.turn("broker", Mode.RESET)
    prometheus.wait_until_firing("WorkersUnhealthy")

    stack.turn("broker", Mode.PASS)

    prometheus.wait_until_silent()


def test_dead_sender_fires_webhooks_delayed(stack: Storm, prometheus: Prometheus) -> None:
    with a_receiver() as receiver:
        stack.running.stack.kill(SENDER)
        job_id = stack.running.submit(photo_of(0), webhook_url=receiver.url, **NAVY)
        wait_until(lambda: bool(stack.running.job(job_id)["finished_at"]))
        stack.bench.execute("UPDATE deliveries SET due_at = due_at - interval '61 s'")
        prometheus.wait_until_firing("WebhooksDelayed")

        stack.running.until(lambda: bool(receiver.got))  # restarts the sender

    prometheus.wait_until_silent()


def test_storage_that_refuses_removals_fires_retention_overdue(
    stack: Storm, prometheus: Prometheus
) -> None:
    stack.running.wait(stack.running.submit(photo_of(0), **NAVY))
    stack.turn("storage", Mode.RESET)
    stack.bench.execute(
        "UPDATE artifacts SET expires_at = statement_timestamp() - interval '901 s'"
    )
    prometheus.wait_until_firing("RetentionOverdue")

    stack.turn("storage", Mode.PASS)

    prometheus.wait_until_silent()


def test_photos_without_people_fire_job_failures_high(stack: Storm, prometheus: Prometheus) -> None:
    job_id = stack.running.submit(draw_empty_wall(), require_person="true", **NAVY)
    prometheus.wait_until_firing("JobFailuresHigh")

    assert stack.running.job(job_id)["error"]["code"] == "no_person"
    assert prometheus.list_firing() == {"JobFailuresHigh"}
    prometheus.wait_until_silent()


def test_more_viewers_than_a_worker_can_serve_fire_live_video_slow(
    live: LiveWorker, prometheus: Prometheus
) -> None:
    photo = frames.encode_frame(next(videos.film_moving_camera(seconds=1)).srgb)
    is_over = threading.Event()

    def watch() -> None:
        with live.viewer() as viewer:
            number = 0
            while not is_over.is_set():
                viewer.show(number, photo)
                viewer.see()
                number += 1

    with ThreadPoolExecutor(VIEWERS) as pool:
        viewers = [pool.submit(watch) for _ in range(VIEWERS)]
        try:
            prometheus.wait_until_firing("LiveVideoSlow")
        finally:
            is_over.set()
    for viewer in viewers:
        viewer.result()

    prometheus.wait_until_silent()


@contextmanager
def requesting(client: httpx.Client, method: str, path: str, **body: object) -> Iterator[None]:
    """Repeat a request, one at a time, while the block lasts."""
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            client.request(method, path, **body)

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        try:
            yield
        finally:
            is_over.set()
    asking.result()


@contextmanager
def occupied_threads(stack: Storm) -> Iterator[list[str]]:
    """Occupy every thread of both workers while the block lasts; yields the ids of the jobs."""
    with stack.running.arm("hangs"):
        job_ids = [
            stack.running.submit(photo_of(number), segmentation__model="hangs", **NAVY)
            for number in range(THREADS)
        ]
        # Segmentation runs ahead, under the lease of `prepare`.
        stack.running.until(lambda: stack.count("state = 'running'") == THREADS)
        yield job_ids
    stack.running.until(lambda: all(stack.running.job(one)["finished_at"] for one in job_ids))


def draw_empty_wall() -> bytes:
    noise = np.random.default_rng(0).normal(200, 2, (320, 320, 3))
    return encode(Image.fromarray(noise.clip(0, 255).astype(np.uint8)), "PNG")
