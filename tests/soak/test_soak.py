"""More photos than the service can take, for minutes: nothing that it holds grows without end."""

import contextlib
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Final

import httpx
import pytest
from sqlalchemy import text

from smart_filter_deploy.cli.server import program
from smart_filter_deploy.embedded.child_processes import Command
from smart_filter_tests.http_server import LOOPBACK
from smart_filter_tests.storm import RECIPES, WORKERS, Storm, photo_of, storm
from smart_filter_tests.webhook_receiver import a_receiver

# `make nightly` raises it.
SOAK_SECONDS: Final = float(os.environ.get("SOAK_SECONDS", "300"))
pytestmark = pytest.mark.timeout(SOAK_SECONDS + 900)
SENDER: Final = "sender"
PROCESSES: Final = ("api", SENDER, *WORKERS)
# Photos submitted, of those that end.
OVERLOAD: Final = 1.2
FIRST_PHOTOS: Final = 16
# Every tenth photo is canceled, every seventh is none at all.
CANCELED_EVERY, BROKEN_EVERY = 10, 7
SAMPLE_SECONDS: Final = 2.0
# By quantity, the growth that counts as none: a share, and an amount for small ones.
FLAT: Final[Mapping[str, tuple[float, float]]] = {
    "processes": (0.0, 1),  # a worker starts a second decoder when it first needs one
    "resident MB": (0.05, 4),
    "descriptors": (0.05, 4),
    "threads": (0.05, 2),
    "connections": (0.05, 2),
    # A job leaves some dozens, which autovacuum removes once a minute.
    "dead rows": (0.05, 5_000),
    "temporary files": (0.05, 2),
}
# Of all growth, what each quarter has at least where growth is steady; a third would be a line.
STEADY: Final = 0.1

Samples = dict[tuple[str, str], list[float]]


def test_nothing_grows_under_more_load_than_capacity(
    data_folder: Path, weights_folder: Path
) -> None:
    with a_receiver() as receiver, tempfile.TemporaryDirectory() as temporary, ExitStack() as held:
        environment = {"TMPDIR": temporary, "SMART_FILTER_OUTBOUND_ALLOW": LOOPBACK}
        stack = held.enter_context(storm(data_folder / "soak", weights_folder, **environment))
        sender = Command(name=SENDER, argv=program.command("sender"), env=environment)
        stack.running.stack.start(sender)
        samples = soak(stack, receiver.url, Path(temporary))
        stack.ride_out([])
        ended, damage = stack.ends(), stack.damage(list(succeeded(stack)))

    print_samples(samples)
    print(f"{ended} jobs ended")  # noqa: T201 - a figure
    assert ended > FIRST_PHOTOS
    assert damage == []
    assert growths(samples) == []


def soak(stack: Storm, webhook_url: str, temporary: Path) -> Samples:
    """Submit photos for SOAK_SECONDS; return samples after a third of them, which warms up."""
    samples: Samples = defaultdict(list)
    began = time.monotonic()
    due_at = began + SOAK_SECONDS / 3
    submitted = 0
    while (now := time.monotonic()) < began + SOAK_SECONDS:
        if submitted < FIRST_PHOTOS + OVERLOAD * stack.ends():
            submit(stack, submitted, webhook_url)
            submitted += 1
        if now >= due_at:
            due_at += SAMPLE_SECONDS
            for name, value in sample(stack, temporary):
                samples[name].append(value)
        stack.wait_seconds(0.02)
    return samples


def submit(stack: Storm, number: int, webhook_url: str) -> None:
    client = stack.running.client
    photo = b"no photo" if number % BROKEN_EVERY == 1 else photo_of(number)
    fields = {**RECIPES[number % len(RECIPES)], "webhook_url": webhook_url}
    answer = client.post("/v1/jobs", files={"photo": photo}, data=fields)
    if photo == b"no photo":
        assert answer.status_code == httpx.codes.UNSUPPORTED_MEDIA_TYPE, answer.text
        return
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    if number % CANCELED_EVERY == 2:
        client.post(f"/v1/jobs/{answer.json()['id']}/cancel").raise_for_status()


def sample(stack: Storm, temporary: Path) -> Iterator[tuple[tuple[str, str], float]]:
    """Yield what each process holds right now, by quantity."""
    for process in PROCESSES:
        pids = stack.running.stack.pids(process)
        yield (process, "processes"), len(pids)
        for pid in pids:
            holder = f"{process} {pid}"
            yield (holder, "resident MB"), status(pid, "VmRSS") / 1024
            yield (holder, "threads"), status(pid, "Threads")
            yield (holder, "descriptors"), descriptors(pid)
    yield ("all", "temporary files"), sum(1 for _ in temporary.rglob("*"))
    with stack.bench.transaction() as connection:
        rows = connection.execute(text("SELECT sum(n_dead_tup) FROM pg_stat_user_tables"))
        yield ("database", "dead rows"), float(rows.scalar_one())
        rows = connection.execute(
            text("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")
        )
        yield ("database", "connections"), float(rows.scalar_one())


def status(pid: int, field: str) -> int:
    """Return a number of /proc/PID/status, 0 for a process that has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == field:
                return int(value.split()[0])
    return 0


def descriptors(pid: int) -> int:
    with contextlib.suppress(OSError):
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return 0


def growths(samples: Samples) -> list[str]:
    """Return the quantities that grew all the time, by the medians of the samples' quarters.

    What a process needs once and then keeps, such as a second decoder or a thread's memory, is
    one step, which leaves two quarters at least as they were: no growth without end.
    """
    found = []
    whole = max(map(len, samples.values()))
    for (holder, quantity), values in samples.items():
        if len(values) < whole:
            continue  # of a process that was started or has ended meanwhile
        first, *_, last = medians = quarters(values)
        share, amount = FLAT[quantity]
        growth = last - first
        steps = [after - before for before, after in pairwise(medians)]
        if growth > first * share + amount and min(steps) > growth * STEADY:
            found.append(f"{holder}, {quantity}: {first:g} to {last:g}")
    return found


def quarters(values: list[float]) -> list[float]:
    """Return the medians of the four quarters of at least four values."""
    quarter = len(values) // 4
    return [statistics.median(values[at * quarter :][:quarter]) for at in range(4)]


@pytest.mark.parametrize(
    ("values", "grown"),
    [
        pytest.param([800.0 + 2 * at for at in range(80)], True, id="leak"),
        pytest.param([800.0 + at % 7 + 20 * (at // 12) for at in range(120)], True, id="stairs"),
        pytest.param([800.0] * 60 + [880.0] * 20, False, id="late step"),
        pytest.param([800.0] * 30 + [880.0] * 50, False, id="step"),
        pytest.param([800.0 + at % 9 for at in range(80)], False, id="noise"),
        pytest.param([880.0 - at for at in range(80)], False, id="shrinks"),
    ],
)
def test_only_steady_growth_counts(values: list[float], *, grown: bool) -> None:
    assert bool(growths({("worker", "resident MB"): values})) is grown


def succeeded(stack: Storm) -> Iterator[str]:
    with stack.bench.transaction() as connection:
        rows = connection.execute(text("SELECT id FROM jobs WHERE outcome = 'succeeded'"))
        yield from (str(row.id) for row in rows)


def print_samples(samples: Samples) -> None:
    """Print the medians of the four quarters, for `pytest -s`."""
    for (holder, quantity), values in samples.items():
        medians = quarters(values) if len(values) >= 4 else [statistics.median(values)]
        told = "".join(f"{median:10.1f}" for median in medians)
        print(f"{holder:16} {quantity:16}{told}")  # noqa: T201 - the figures
