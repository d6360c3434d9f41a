"""Artifacts that several jobs use go with the last of them, also while others come."""

from collections.abc import Callable

import pytest
from sqlalchemy import text

from smart_filter_shared.ids import JobId, new_job_id
from smart_filter_shared.jobs import retention, sharing, transitions
from smart_filter_shared.pipeline import StageName
from smart_filter_tests import invariants, races
from smart_filter_tests.bench import KEEPING, TENANT, Bench
from smart_filter_tests.worlds import KEEP_BACKGROUND, Action, World

PHOTO = "2026-01-01/tests/parent/photo"
AGE = text("UPDATE artifacts SET expires_at = statement_timestamp() - interval '1 hour'")


def parent(bench: Bench) -> World:
    """Make a job whose photo another one borrows."""
    job_id = bench.submit(KEEP_BACKGROUND, photo=PHOTO)
    return World(bench, job_id, {})


def child(world: World) -> JobId:
    job_id = world.bench.submit(KEEP_BACKGROUND)
    assert world.bench.do(sharing.borrow, TENANT, job_id, [PHOTO], KEEPING) == {PHOTO}
    return job_id


def holders(bench: Bench) -> tuple[list[JobId], list[JobId], bool]:
    """Return whose the photo is, who borrows it, and whether it is marked."""
    with bench.transaction() as connection:
        rows = connection.execute(
            text("SELECT job_id, marked_at FROM artifacts WHERE key = :key"), {"key": PHOTO}
        ).all()
        borrowers = connection.execute(text("SELECT job_id FROM borrowers")).scalars()
        return [row.job_id for row in rows], list(borrowers), any(row.marked_at for row in rows)


def delete(job_id: JobId) -> Action:
    return Action(
        "delete",
        None,
        lambda connection, _: sorted(
            one.key for one in transitions.delete(connection, job_id, TENANT)
        ),
    )


def borrow(job_id: JobId) -> Action:
    return Action(
        "borrow",
        None,
        lambda connection, _: sharing.borrow(connection, TENANT, job_id, [PHOTO], KEEPING),
    )


EXPIRE = Action("expire", None, lambda connection, _: retention.mark_expired(connection, most=10))


def test_owners_artifact_passes_to_its_borrower(bench: Bench) -> None:
    world = parent(bench)
    heir = child(world)

    marked = races.alone(world, delete(world.job_id))

    assert marked == []
    assert holders(bench) == ([heir], [], False)
    assert invariants.broken(bench) == []


@pytest.mark.parametrize("parent_first", [True, False])
def test_deletion_of_both_at_once_marks_the_photo_once(bench: Bench, *, parent_first: bool) -> None:
    world = parent(bench)
    pair = [delete(world.job_id), delete(child(world))]

    marked = races.overlapped(world, *(pair if parent_first else pair[::-1]))

    assert sum(PHOTO in keys for keys in marked) == 1  # type: ignore[attr-defined]  # lists
    assert holders(bench)[1:] == ([], True)


def test_borrowing_what_is_being_deleted_finds_it_gone(bench: Bench) -> None:
    world = parent(bench)
    late = bench.submit(KEEP_BACKGROUND)

    _, borrowed = races.overlapped(world, delete(world.job_id), borrow(late))

    assert borrowed == set()
    assert holders(bench)[1:] == ([], True)


def test_deleting_what_is_being_borrowed_hands_it_on(bench: Bench) -> None:
    world = parent(bench)
    late = bench.submit(KEEP_BACKGROUND)

    borrowed, marked = races.overlapped(world, borrow(late), delete(world.job_id))

    assert (borrowed, marked) == ({PHOTO}, [])
    assert holders(bench) == ([late], [], False)


def test_artifact_does_not_expire_while_it_is_borrowed(bench: Bench) -> None:
    world = parent(bench)
    bench.advance(StageName.PREPARE, StageName.COMPOSITE)
    late = bench.submit(KEEP_BACKGROUND)
    with bench.transaction() as connection:
        assert borrow(late)(connection, world) == {PHOTO}
        connection.execute(AGE)
        races.alone(world, EXPIRE)

    races.alone(world, EXPIRE)

    assert not holders(bench)[2]  # the job that borrows it has not ended


def test_marked_artifact_is_not_lent(bench: Bench) -> None:
    world = parent(bench)
    bench.advance(StageName.PREPARE, StageName.COMPOSITE)
    with bench.transaction() as connection:
        connection.execute(AGE)
    races.alone(world, EXPIRE)

    assert races.alone(world, borrow(new_job_id())) == set()


def test_deletions_of_jobs_that_share_do_not_deadlock(bench: Bench) -> None:
    world = parent(bench)
    heirs = [child(world) for _ in range(4)]
    deadlocks = races.deadlocks(bench)

    def remove(job_id: JobId) -> Callable[[], object]:
        return lambda: races.alone(world, delete(job_id))

    answers = races.at_once([remove(job_id) for job_id in (world.job_id, *heirs)])

    assert sum(PHOTO in keys for keys in answers) == 1  # type: ignore[operator]  # lists
    assert holders(bench)[1:] == ([], True)
    assert invariants.broken(bench) == []
    assert races.deadlocks(bench) == deadlocks
