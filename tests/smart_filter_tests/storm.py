"""A whole stack under faults: two workers, every server behind a proxy, faults on a plan."""

import base64
import dataclasses
import datetime as dt
import os
import random
import secrets
import signal
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from PIL import Image
from sqlalchemy import text

from smart_filter_deploy.embedded.addresses import LOOPBACK, Addresses
from smart_filter_shared.errors import ObjectMissing
from smart_filter_shared.ids import Capability
from smart_filter_shared.operations import consistency
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue import heads
from smart_filter_tests import invariants, moves
from smart_filter_tests.bench import Bench, open_bench, settings_of
from smart_filter_tests.full_stack import PHOTO, RunningStack, run_stack
from smart_filter_tests.maintenance import collector
from smart_filter_tests.pictures import encode
from smart_filter_tests.pressure import BENCH
from smart_filter_tests.proxy import Mode, Proxy
from smart_filter_tests.s3_server import S3Stack

_ENGINE = {
    "SMART_FILTER_HEARTBEAT_SECONDS": "1",
    "SMART_FILTER_SWEEP_SECONDS": "0.2",
    "SMART_FILTER_DRAIN_SECONDS": "0.3",
    # Storms repeat the photos of earlier ones, and all of their stages have to run.
    "SMART_FILTER_REMEMBER": "false",
    "SMART_FILTER_OUTBOUND_ALLOW": LOOPBACK,
}
# Short enough to wait for. On a busy machine a heartbeat is late now and then, and a lease ends.
LEASE_SECONDS = 4.0
WORKERS = ("worker-1", "worker-2")
# `make nightly` raises these by variables.
PHOTOS = int(os.environ.get("CHAOS_PHOTOS", "16"))
# Of these, how many are submitted while the faults happen.
_DURING = max(1, PHOTOS // 4)
_RETRY_SECONDS = 0.3
# Answers after which a client sends the same request again: the same key may still be in progress.
_RETRIED = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.CONFLICT)
# Two stages, three, and all five.
RECIPES = ({"background": "keep"}, {"background": "color:navy"}, {"background": "auto"})
_REMOVED_SHARE = 0.5
_PATIENCE_SECONDS = 180 + 4.0 * PHOTOS  # a busy machine ends them late, not never
_VARIABLES = {
    "SMART_FILTER_DATABASE_URL": "database_url",
    "SMART_FILTER_BROKER_URL": "broker_url",
    "SMART_FILTER_STORAGE_URL": "storage_url",
}

Plan = Sequence[tuple[float, Callable[[], object]]]


@dataclass(slots=True)
class Storm:
    running: RunningStack
    bench: Bench
    proxies: Mapping[str, Proxy]
    checked: list[tuple[int, int]] = field(default_factory=list)  # photos, and what was wrong
    _spoiled: set[str] = field(default_factory=set)  # keys of objects
    _during: list[str] = field(default_factory=list)  # jobs that were submitted during the faults
    _faults: list[str] = field(default_factory=list)

    def submit(self, photos: int = PHOTOS - _DURING, **fields: str) -> list[str]:
        """Submit distinct photos with recipes short and long; more fields are the same for all.

        Meanwhile the workers are stopped, so that all photos are in progress when it returns.
        """
        with self._standing_still():
            return [
                self.running.submit(photo_of(number), **RECIPES[number % len(RECIPES)], **fields)
                for number in range(photos)
            ]

    def submit_album(self, best: int, photos: int = PHOTOS) -> tuple[str, list[str]]:
        items = [
            {"photo_base64": base64.b64encode(photo_of(number)).decode()}
            for number in range(photos)
        ]
        with self._standing_still():
            answer = self.running.client.post(
                "/v1/batches", json={"items": items, "album": {"best": best}}
            )
        assert answer.status_code == 202, answer.text
        return answer.json()["id"], [item["job_id"] for item in answer.json()["items"]]

    def ride_out(self, plan: Plan) -> None:
        """Inject faults at the planned seconds from now; return when all jobs have ended.

        Clients submit photos meanwhile, each with an Idempotency-Key, until they are accepted.
        """
        started_at = time.monotonic()
        left = sorted(plan, key=lambda step: step[0])
        ends_at = max((at for at, _ in plan), default=0)
        with ThreadPoolExecutor(_DURING) as clients:
            submitted = [
                clients.submit(self._submit_in_time, number, ends_at * number / _DURING)
                for number in range(_DURING if plan else 0)
            ]

            def is_over() -> bool:
                while left and time.monotonic() - started_at >= left[0][0]:
                    left.pop(0)[1]()
                return not left and all(map(Future.done, submitted)) and self._unfinished() == 0

            self.running.until(is_over, seconds=_PATIENCE_SECONDS + ends_at)
        self._during += [client.result() for client in submitted]

    def _submit_in_time(self, number: int, wait_seconds: float) -> str:
        """Submit a photo after some seconds, as often as needed; return the job's id."""
        time.sleep(wait_seconds)
        key = {"Idempotency-Key": secrets.token_hex(8)}
        photo = photo_of(PHOTOS + number)
        gives_up_at = time.monotonic() + _PATIENCE_SECONDS
        ids: list[str] = []
        while len(ids) < 2 and time.monotonic() < gives_up_at:
            with suppress(httpx.TransportError):
                answer = self.running.client.post(
                    "/v1/jobs", files={"photo": photo}, data=RECIPES[0], headers=key
                )
                if answer.status_code == HTTPStatus.ACCEPTED:
                    ids.append(answer.json()["id"])
                    continue
                assert answer.status_code in _RETRIED, answer.text
            time.sleep(_RETRY_SECONDS)
        if len(set(ids)) != 1:
            self._faults.append(f"a photo with one key became the jobs {ids}")
        return ids[0]

    def wait_seconds(self, seconds: float) -> None:
        """Let the service run, and restart what dies."""
        ends_at = time.monotonic() + seconds
        self.running.until(lambda: time.monotonic() >= ends_at)

    def turn(self, server: str, mode: Mode) -> None:
        """Set the mode of a server's connections; open ones end."""
        self.proxies[server].mode = mode
        if mode != Mode.SWALLOW:
            self.proxies[server].cut()

    def await_submissions(self) -> None:
        """Wait until the API accepts photos again; it refuses some while a server is silent."""
        photo = photo_of(-1)
        self.running.until(lambda: self.running.try_submit(photo) is not None)

    def calm_down(self) -> None:
        """Make every server reachable, and wait until the API has noticed."""
        for server, proxy in self.proxies.items():
            if proxy.mode != Mode.PASS:
                self.turn(server, Mode.PASS)
        looks = range(5)  # each with another connection of its pool
        self.running.until(lambda: all(self._is_ready() for _ in looks))

    def outage(self, server: str, mode: Mode, *, at: float, seconds: float) -> Plan:
        """Return a plan in which a server is away for a while."""
        return [
            (at, lambda: self.turn(server, mode)),
            (at + seconds, lambda: self.turn(server, Mode.PASS)),
        ]

    def silence(self, server: str, *, at: float) -> Plan:
        """Return a plan in which the open connections to a server freeze; new ones are served."""
        return [(at, self.proxies[server].freeze)]

    @contextmanager
    def holding_back(self, stage: StageName) -> Iterator[None]:
        """Let no worker claim a stage, or run ahead with it, while the block lasts."""
        with self.bench.transaction() as connection:
            listed = connection.execute(text("SELECT DISTINCT unnest(capabilities) FROM workers"))
            served = [Capability(name) for name in listed.scalars()]
            held = [name for name in served if heads.stage_of(name) == stage]
            for capability in held:
                heads.pause(connection, capability)
        try:
            yield
        finally:
            with self.bench.transaction() as connection:
                for capability in held:
                    heads.resume(connection, capability)

    def spoil(self, chance: random.Random) -> int:
        """Remove or cut short what stages of unfinished jobs have stored; return the number.

        Both workers are killed first: their memory would serve the next stages, and a job that
        ends meanwhile would never read what is missing.
        """
        if not self._list_artifacts():
            return 0
        for worker in WORKERS:
            self.running.stack.kill(worker)
        keys = self._list_artifacts()
        for key in sorted(keys):
            with suppress(ObjectMissing):  # its job had ended just before
                content = self.bench.read(key)
                half = content[: len(content) // 2]
                if chance.random() < _REMOVED_SHARE:
                    self.bench.store.remove(key)
                else:
                    self.bench.store.put(key, half, length=len(half), media_type="image/png")
        self._spoiled |= keys
        return len(keys)

    def _list_artifacts(self) -> set[str]:
        """Return the keys of unfinished jobs' artifacts that are not spoiled yet."""
        rows = self.bench.rows("""
            SELECT made.value AS key FROM stages JOIN jobs ON jobs.id = job_id,
                jsonb_each_text(stages.result -> 'arrays') AS made
            WHERE outcome IS NULL
        """)
        return {row.key for row in rows} - self._spoiled

    def attempts(self, job_ids: Sequence[str]) -> list[int]:
        return [
            stage["attempt"] for job_id in job_ids for stage in self.running.job(job_id)["stages"]
        ]

    def count(self, condition: str) -> int:
        """Return the number of stages that meet a condition."""
        return self.bench.scalar(f"SELECT count(*) FROM all_stages WHERE {condition}")

    def deliveries(self, job_ids: Sequence[str], condition: str = "true") -> int:
        """Return the number of deliveries of jobs that meet a condition."""
        return self.bench.scalar(
            f"SELECT count(*) FROM deliveries WHERE job_id = ANY(:ids) AND ({condition})",
            ids=[uuid.UUID(job_id) for job_id in job_ids],
        )

    def ends(self) -> int:
        """Return how many jobs have ended."""
        return self.bench.scalar("SELECT count(*) FROM ends")

    def damage(self, job_ids: Sequence[str]) -> list[str]:
        """Return the invariants that are broken after the storm.

        Jobs that were submitted during it are checked too.
        """
        job_ids = [*job_ids, *self._during]
        faults = [*self._faults]
        faults += [
            f"job {job_id} {job['state']}: {job['error']}"
            for job_id in job_ids
            if (job := self._read(job_id))["state"] != "succeeded"
        ]
        rows = self.bench.rows("""
            SELECT id, count(ends.*) AS ends FROM jobs LEFT JOIN ends ON job_id = id
            GROUP BY id HAVING count(ends.*) <> 1
        """)
        faults += [f"job {row.id} has ended {row.ends} times" for row in rows]
        faults += invariants.broken(self.bench)
        faults += [
            f"{fault.rule}: {fault.subject}"
            for fault in consistency.check_objects(self.bench.engine, self.bench.store, most=20)
        ]
        if leases := self.count("lease_token IS NOT NULL"):
            faults.append(f"{leases} leases left")
        faults += self._stray_objects(set(job_ids))
        self.checked.append((len(job_ids), len(faults)))
        self._during.clear()
        self._faults.clear()
        return faults

    def _read(self, job_id: str) -> dict[str, Any]:
        """Return a job; a 503 after a server's restart is asked again, as its answer says."""
        url = f"/v1/jobs/{job_id}"
        self.running.until(
            lambda: self.running.client.get(url).status_code != HTTPStatus.SERVICE_UNAVAILABLE
        )
        return self.running.job(job_id)

    @contextmanager
    def _standing_still(self) -> Iterator[None]:
        for worker in WORKERS:
            self.running.stack.send(worker, signal.SIGSTOP)
        yield
        for worker in WORKERS:
            self.running.stack.send(worker, signal.SIGCONT)

    def _is_ready(self) -> bool:
        try:
            answer = self.running.operators.get("/readyz")
        except httpx.TransportError:  # the API is not up again
            return False
        return answer.status_code == 200 and not answer.json()["degraded"]

    def _unfinished(self) -> int:
        return self.bench.scalar("SELECT count(*) FROM jobs WHERE outcome IS NULL")

    def _stray_objects(self, job_ids: Collection[str]) -> list[str]:
        retention = collector(self.bench)
        difference: set[str] = set()

        def is_tidy() -> bool:
            # This includes objects of this very second; workers may still drop late work.
            retention.clear_unreferenced(older_than=-dt.timedelta(minutes=1))
            keys = {row.key for row in self.bench.rows("SELECT key FROM artifacts")}
            stored = {stored.key for stored in self.bench.store.stored()}
            difference.clear()
            difference.update(key for key in keys ^ stored if key.split("/")[2] in job_ids)
            return not difference

        try:
            self.running.until(is_tidy)
        except AssertionError:
            return [f"a row without its object, or the reverse: {key}" for key in difference]
        return []


@contextmanager
def storm(
    folder: Path, weights: Path, *, lease_seconds: float = LEASE_SECONDS, **more: str
) -> Iterator[Storm]:
    """Run a stack in a new folder whose servers can be disturbed.

    more: environment variables of the API and of the workers.
    """
    proxies: dict[str, Proxy] = {}
    engine = {**_ENGINE, "SMART_FILTER_LEASE_SECONDS": str(lease_seconds), **more}
    with ExitStack() as held:

        def detour(addresses: Addresses) -> dict[str, str]:
            changed = {}
            for variable, field in _VARIABLES.items():
                url = urlsplit(getattr(addresses, field))
                assert url.hostname is not None
                assert url.port is not None
                proxy = held.enter_context(Proxy(url.hostname, url.port))
                proxies[field.removesuffix("_url")] = proxy
                netloc = url.netloc.replace(f":{url.port}", f":{proxy.port}")
                changed[variable] = url._replace(netloc=netloc).geturl()
            return changed

        stack = held.enter_context(
            run_stack(
                folder,
                weights,
                engine,
                workers=len(WORKERS),
                sender=True,
                kind=S3Stack,
                detour=detour,
            )
        )
        addresses = stack.stack.addresses
        url = f"{addresses.database_url}?application_name={BENCH}"
        settings = settings_of(dataclasses.replace(addresses, database_url=url))
        bench = held.enter_context(open_bench(settings, connections=2))
        with bench.transaction() as connection:
            moves.forbid_others(connection)
            connection.execute(text(_WRITE_DOWN_ENDS))
        yield Storm(stack, bench, proxies)


# Without its own key: two ends at once must both be recorded.
_WRITE_DOWN_ENDS = """
    CREATE TABLE ends (job_id uuid, outcome text);
    CREATE FUNCTION write_down_end() RETURNS trigger AS $$
    BEGIN INSERT INTO ends VALUES (NEW.id, NEW.outcome); RETURN NEW; END $$ LANGUAGE plpgsql;
    CREATE TRIGGER ends AFTER UPDATE OF outcome ON jobs FOR EACH ROW
    WHEN (NEW.outcome IS NOT NULL AND NEW.outcome IS DISTINCT FROM OLD.outcome)
    EXECUTE FUNCTION write_down_end();
"""


def photo_of(number: int) -> bytes:
    with Image.open(PHOTO) as opened:
        photo = opened.convert("RGB").resize((320, 320))
    photo.putpixel((0, 0), tuple(random.Random(number).randbytes(3)))
    return encode(photo, "PNG")
