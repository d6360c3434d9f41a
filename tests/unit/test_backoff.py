"""How long a child that died waits."""

from smart_filter_deploy.embedded.backoff import Backoff


def test_child_that_lived_is_started_again_at_once() -> None:
    assert Backoff().after(2.0) == 0.0


def test_child_that_keeps_dying_waits_twice_as_long_each_time_but_never_over_ten_seconds() -> None:
    backoff = Backoff()

    waits = [backoff.after(0.5) for _ in range(10)]

    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0, 10.0]


def test_child_that_lived_in_between_is_trusted_again() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.after(0.5)

    backoff.after(60.0)

    assert backoff.after(0.5) == 0.1
