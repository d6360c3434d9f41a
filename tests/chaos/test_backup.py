"""A backup made as docs/operating.md says, restored on empty servers."""

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from smart_filter_deploy.embedded.addresses import Addresses
from smart_filter_deploy.embedded.binaries import postgres_folder
from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_deploy.embedded.stack import Stack
from smart_filter_shared.db import sessions
from smart_filter_shared.queue import events
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_shared.storage.opening import open_store
from smart_filter_tests import commands
from smart_filter_tests.bench import settings_of
from smart_filter_tests.full_stack import ENGINE, RunningStack, run_stack

# Transaction ids used by the lost cluster, so that its ids are ahead of a new cluster's.
TRANSACTIONS = 30_000
DELETED_JOBS = 100_000
LOOKS = 10


def postgres(program: str, *arguments: str, of: Addresses) -> None:
    url = of.database_url.replace("+psycopg", "")
    command = [str(postgres_folder() / program), *arguments, "--dbname", url]
    subprocess.run(command, check=True, capture_output=True)


def objects_of(of: Addresses) -> ObjectStore:
    return open_store(settings_of(of).storage, connections=1)


def live_for_long(of: Addresses) -> None:
    """Advance a cluster's transaction ids and add the tombstones of months."""
    engine = sessions.open_engine(settings_of(of).database, connections=1)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"""
            DO $$ BEGIN
                FOR number IN 1..{TRANSACTIONS} LOOP
                    PERFORM pg_current_xact_id();
                    COMMIT;
                END LOOP;
            END $$
        """)
        connection.execute(
            text("""
                INSERT INTO tombstones (job_id, tenant, deleted_at, written_in)
                SELECT gen_random_uuid(), 'local', now(),
                    CAST(CAST(pg_current_xact_id() AS text) AS bigint)
                FROM generate_series(1, :jobs)
            """),
            {"jobs": DELETED_JOBS},
        )
    engine.dispose()


def measured(stack: RunningStack) -> tuple[list[float], set[int]]:
    """Poll for events like the API; return each poll's duration in ms and number of jobs."""
    engine = sessions.open_engine(settings_of(stack.stack.addresses).database, connections=1)
    took, jobs = [], set()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        horizon = events.read_changes(connection, None).horizon
        for _ in range(LOOKS):
            began = time.perf_counter()
            found = events.read_changes(connection, horizon)
            took.append((time.perf_counter() - began) * 1000)
            jobs.add(len(found.jobs))
            horizon = found.horizon
    engine.dispose()
    return sorted(took), jobs


def polled(stack: RunningStack, job_id: str) -> dict[str, Any]:
    """Wait for a job's end with one long poll; return the job."""
    answer = stack.client.get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=60"}, timeout=70)
    job: dict[str, Any] = answer.json()
    return job


def streamed(stack: RunningStack, job_id: str) -> list[str]:
    """Return the types of a job's events, followed until it has ended."""
    with stack.client.stream("GET", f"/v1/jobs/{job_id}/events", timeout=70) as answer:
        lines = [line.partition(": ") for line in answer.iter_lines()]
    return [value for name, _, value in lines if name == "event"]


def test_restored_backup_serves_finished_jobs_and_continues_the_others(
    data_folder: Path,
    weights_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dump = tmp_path / "smart-filter.dump"
    with run_stack(data_folder / "lost", weights_folder, ENGINE) as stack:
        addresses = stack.stack.addresses
        live_for_long(addresses)
        command = commands.on_servers(settings_of(addresses), capsys, monkeypatch)
        ended = stack.wait(stack.submit(background="color:red"))
        picture = stack.output(ended["id"], "image")
        (queue,) = [
            stage
            for stage in (item["capability"] for item in command("queues", "list")["items"])
            if stage.startswith("composite.")
        ]
        command("queues", "pause", queue)
        unfinished = stack.submit(background="color:blue")
        stack.until(lambda: command("queues", "show", queue)["items"] != [])
        # The dump first: every object that it names was stored before.
        postgres("pg_dump", "--format=custom", f"--file={dump}", of=addresses)
        store = objects_of(addresses)
        objects = {
            stored.key: store.get(stored.key, most=stored.length) for stored in store.stored()
        }

    with Stack(DataFolder.at(data_folder / "restored")) as servers:
        restore = ("pg_restore", "--no-owner", "--no-privileges")
        postgres(*restore, str(dump), of=servers.addresses)
        store = objects_of(servers.addresses)
        store.ensure_bucket()
        for key, content in objects.items():
            store.put(key, content, length=len(content), media_type="application/octet-stream")
    with run_stack(data_folder / "restored", weights_folder, ENGINE) as stack:
        command = commands.on_servers(settings_of(stack.stack.addresses), capsys, monkeypatch)
        found = [command("audit")]
        waiting = stack.job(unfinished)["state"]
        took, jobs = measured(stack)
        with ThreadPoolExecutor(2) as followers:
            poll = followers.submit(polled, stack, unfinished)
            stream = followers.submit(streamed, stack, unfinished)
            command("queues", "resume", queue)
            done = stack.wait(unfinished)
            followed = (poll.result()["state"], stream.result()[-1])
        again = stack.output(ended["id"], "image")
        found.append(command("audit"))

    with capsys.disabled():
        figures = {"jobs": max(jobs), "median_ms": took[LOOKS // 2], "longest_ms": took[-1]}
        print(json.dumps({"look": figures}))  # noqa: T201 - the drill's figures
    assert (waiting, done["state"]) == ("running", "succeeded")
    assert followed == ("succeeded", "job.succeeded")
    assert jobs == {0}
    assert again == picture
    assert found == [{"findings": []}, {"findings": []}]
