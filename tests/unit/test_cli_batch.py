"""Entries, report and dashboard of a batch."""

import io

import pytest
from rich.console import Console

from smart_filter_client import errors
from smart_filter_deploy.cli.connection import Server
from smart_filter_deploy.cli.dashboard import Dashboard
from smart_filter_deploy.cli.patience import GivenUp, Patience
from smart_filter_deploy.cli.stopping import Stop
from smart_filter_tests.journals import an_entry


def a_console(*, terminal: bool = False, width: int = 80) -> Console:
    return Console(
        file=io.StringIO(), force_terminal=terminal, width=width, height=24, color_system=None
    )


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_key_is_the_same_for_the_same_photo_and_recipe_and_no_other() -> None:
    first = an_entry()
    others = [an_entry(digest="e"), an_entry(recipe="s"), an_entry(again="1")]

    assert first.key == an_entry("b.jpg", state="sent", job_id="j").key
    assert len({first.key, *(other.key for other in others)}) == 4


def test_dashboard_in_a_pipe_is_a_plain_line_for_each_photo() -> None:
    console = a_console()

    with Dashboard(console) as dashboard:
        dashboard.count(waiting=2, before=1)
        dashboard.moved("a.jpg", "sending")
        dashboard.say("the server is away")
        dashboard.say("the server is away, still")
        dashboard.say(None)
        dashboard.ended(an_entry(people=1, rating=0.5, seconds=1.25))
        dashboard.ended(an_entry("b.jpg", state="failed", code="unreadable", error="no file"))

    assert text_of(console).splitlines() == [
        "the server is away",
        "going on",
        "[2/3] a.jpg: 1 person, rating 0.50, 1.25 s",
        "[3/3] b.jpg: no file (unreadable)",
    ]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_dashboard_on_a_terminal_keeps_within_its_width(width: int) -> None:
    console = a_console(terminal=True, width=width)
    now = [0.0]

    with Dashboard(console, clock=lambda: now[0]) as dashboard:
        dashboard.count(waiting=20, before=0)
        for number in range(8):
            dashboard.moved(f"a name that is much longer than any line/{number}.jpg", "composite")
        now[0] = 90.0
        for number in range(4):
            dashboard.ended(an_entry(f"{number}.jpg"))
        dashboard.say("the server is away, waiting for it (no answer from http://127.0.0.1:29267)")

    shown = text_of(console)
    assert "4/20" in shown
    assert "about 6 min left" in shown
    plain = shown.replace("\x1b[2K", "").replace("\x1b[1A", "").replace("\x1b[?25l", "")
    assert max(len(line) for line in plain.replace("\x1b[?25h", "").split("\n")) <= width + 1


class Waitless(Stop):
    """Lets no time pass, and remembers how much should have."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float] = []

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)


def asked(stop: Stop, *failures: Exception) -> tuple[str, list[str | None]]:
    """Return the answer of a server that fails so first, and what is said meanwhile."""
    said: list[str | None] = []
    left = list(failures)

    def answer(client: object) -> str:
        del client
        if left:
            raise left.pop(0)
        return "well"

    patience = Patience(
        lambda: Server("http://127.0.0.1:1", ""), stop=stop, tell=said.append, chance=lambda: 0.5
    )
    try:
        return patience.ask(answer), said
    finally:
        patience.close()


def test_server_that_is_away_is_waited_for_longer_and_longer() -> None:
    stop = Waitless()

    answer, said = asked(stop, *[errors.ServerUnreachable("gone")] * 7)

    assert answer == "well"
    assert stop.waited == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]
    assert said == [*["the server is away, waiting for it (gone)"] * 7, None]


def test_server_with_retry_after_is_asked_then() -> None:
    stop = Waitless()

    asked(stop, errors.TryLater("queue_full", status=429, title="full", retry_after=12.0))

    assert stop.waited == [12.5]


def test_refusal_is_not_asked_again() -> None:
    with pytest.raises(errors.Refused):
        asked(Waitless(), errors.PhotoRefused("unsupported_media", status=415))


def test_requested_stop_ends_the_waiting() -> None:
    stop = Waitless()
    stop.request()

    with pytest.raises(GivenUp):
        asked(stop, errors.ServerUnreachable("gone"))
    assert stop.waited == []


def test_second_request_is_to_stop_at_once() -> None:
    stop = Stop()

    stop.request()
    first = (stop.requested, stop.at_once)
    stop.request()

    assert (first, stop.at_once) == ((True, False), True)
