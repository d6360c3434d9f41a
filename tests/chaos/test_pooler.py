"""The whole stack behind PgBouncer in transaction mode, with a worker that dies."""

import dataclasses
import random
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from smart_filter_deploy import wiring
from smart_filter_deploy.cli.server import program
from smart_filter_deploy.embedded.addresses import Addresses
from smart_filter_deploy.embedded.child_processes import Command
from smart_filter_tests import commands, pgbouncer
from smart_filter_tests.bench import settings_of
from smart_filter_tests.full_stack import ENGINE, KEY, RunningStack, run_stack
from smart_filter_tests.storm import WORKERS
from smart_filter_tests.webhook_receiver import a_receiver

pytestmark = pytest.mark.timeout(600)
PHOTOS = 12
# Fewer than the processes have: 3 a worker, 4 the API, 2 the sender.
CONNECTIONS = 6
RECIPES = ({"background": "keep"}, {"background": "color:navy"}, {"background": "auto"})


@contextmanager
def behind_pooler(
    folder: Path, weights: Path, *, prepared: int | None
) -> Iterator[tuple[RunningStack, Addresses]]:
    """Run a stack that reaches the database only through PgBouncer; yield addresses too."""
    with ExitStack() as held:
        found: list[Addresses] = []

        def detour(addresses: Addresses) -> dict[str, str]:
            made = Path(held.enter_context(tempfile.TemporaryDirectory()))
            made.chmod(0o755)
            pooled = held.enter_context(
                pgbouncer.pgbouncer(
                    addresses.database_url,
                    made,
                    connections=CONNECTIONS,
                    prepared_statements=prepared,
                )
            )
            found.append(dataclasses.replace(addresses, database_url=pooled))
            wiring.prepare_servers(settings_of(found[0]), local_key=KEY)
            return {"SMART_FILTER_DATABASE_URL": pooled}

        stack = held.enter_context(
            run_stack(folder, weights, ENGINE, workers=len(WORKERS), detour=detour)
        )
        environment = {**ENGINE, "SMART_FILTER_DATABASE_URL": found[0].database_url}
        stack.stack.start(Command(name="sender", argv=program.command("sender"), env=environment))
        yield stack, found[0]


@pytest.mark.parametrize("knows", [False, True], ids=["forgets statements", "knows statements"])
def test_photos_behind_a_pooler_succeed_despite_a_killed_worker(
    data_folder: Path,
    weights_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    knows: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    can_know = pgbouncer.tracks_prepared_statements()
    if knows and not can_know:
        pytest.skip("this PgBouncer keeps no track of prepared statements: install 1.21 or newer")
    prepared = (100 if knows else 0) if can_know else None
    folder = data_folder / f"pooled-{knows}"
    with (
        a_receiver() as receiver,
        behind_pooler(folder, weights_folder, prepared=prepared) as (stack, addresses),
    ):
        job_ids = [
            stack.submit(webhook_url=receiver.url, **RECIPES[number % len(RECIPES)])
            for number in range(PHOTOS)
        ]
        stack.stack.kill(random.Random(PHOTOS).choice(WORKERS))
        states = [stack.wait(job_id)["state"] for job_id in job_ids]
        stack.until(lambda: len(receiver.got) >= PHOTOS)
        direct = {
            name: pgbouncer.count_connections(stack, name) for name in ("api", "sender", *WORKERS)
        }
        audit = commands.on_servers(settings_of(addresses), capsys, monkeypatch)("audit")

    assert states == ["succeeded"] * PHOTOS
    assert direct == dict.fromkeys(direct, 0)
    assert audit == {"findings": []}
