import io
import json
import re
from pathlib import Path
from typing import Any

import click
import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

from smart_filter_client import errors
from smart_filter_client.models import Job
from smart_filter_client.reading import read_answer
from smart_filter_deploy.cli.batch import html_report
from smart_filter_deploy.cli.batch.dashboard import Dashboard, summary_line
from smart_filter_deploy.cli.batch.journal import Journal
from smart_filter_deploy.cli.batch.report import Row, job_row
from smart_filter_deploy.cli.batch.retry import RetryingClient, StoppedWhileAway
from smart_filter_deploy.cli.batch.worker import choose_key
from smart_filter_deploy.cli.commands.pictures import backgrounds
from smart_filter_deploy.cli.server.connection import Server
from smart_filter_deploy.cli.terminal import report
from smart_filter_deploy.cli.terminal.console import EscapingConsole as OurConsole
from smart_filter_deploy.cli.terminal.console import print_table
from smart_filter_deploy.cli.terminal.exit_codes import CommandError, run_command_line
from smart_filter_deploy.cli.terminal.progress import Progress
from smart_filter_deploy.cli.terminal.signals import StopFlag
from smart_filter_deploy.cli.terminal.text import escape_unprintable
from smart_filter_shared.presets import PRESETS
from smart_filter_tests.clients import job_document
from smart_filter_tests.journals import an_entry
from smart_filter_tests.print_results import PRINTABILITY

DONE = {"name": "face", "model": "centerface", "state": "succeeded", "attempt": 1, "seconds": 0.123}
ROOMY = 100
LONG_REASON = {"kind": "auto", "reason": "because " * 20}


def a_console(*, terminal: bool = False, width: int = ROOMY) -> Console:
    file = io.StringIO()
    return Console(
        file=file,
        force_terminal=terminal,
        width=width,
        height=24,
        highlight=False,
        color_system=None,
    )


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def a_job(**fields: Any) -> Job:  # noqa: ANN401 - as JSON has them
    return read_answer(Job, job_document(**fields))


def a_face(*, left: bool | None = True, right: bool | None = True) -> object:
    return {
        "box": [10, 20, 30, 40],
        "score": 0.9,
        "landmarks": [[1, 2]] * 5,
        "smile": {"level": "mild", "score": 0.5},
        "eyes": {"left_open": left, "right_open": right},
    }


def report_of(console: Console | None = None, **fields: Any) -> str:  # noqa: ANN401
    console = console or a_console()
    report.print_findings(console, a_job(**fields))
    return text_of(console)


TERMS = dict.fromkeys(("mood", "contrast", "harmony", "blending", "variety"), 0.5)
NAMED = [{"name": name, "score": 0.9, "terms": TERMS} for name in ("paper", "sky", "mint")]
PAPER = {"kind": "preset", "name": "paper", "reason": "calm [0.7]", "candidates": NAMED}
RATING = {
    "score": 0.58,
    "avg_smiling_score": 0.6,
    "open_eye_ratio": 0.5,
    "faces": 5,
    "open_eyes": 4,
    "known_eyes": 7,
    "points": 59,
    "shares": {"smile": 0.8, "eyes": 0.2},
}
FAILURE = {
    "title": "Photo cannot be read",
    "code": "image_unreadable",
    "detail": "the file ends early",
    "remedy": "Send another copy.",
    "stage": "prepare",
}
GRADED = {"name": "grade", "applied": True, "reason": "mono: black and white"}
PRINTS = "It prints up to 10×15 cm at 300 dpi, 15×20 cm at 200 dpi."
HATLESS = {"name": "hat", "applied": False, "reason": "no face was found"}


def test_report_shows_every_fact_of_a_job_on_a_line() -> None:
    eyes = ((True, True), (False, False), (None, None), (False, True), (None, True))
    shown = report_of(
        people=2,
        faces=[a_face(left=left, right=right) for left, right in eyes],
        confidence=0.871,
        needs_review=True,
        printability=PRINTABILITY,
        filters=[GRADED, HATLESS],
        rating=RATING,
        background=PAPER,
        outputs={"image": "/v1/jobs/j1/outputs/image"},
        error=FAILURE,
        degraded=["edge=fast", "segmentation.model=selfie"],
    )

    assert [line.strip() for line in shown.splitlines()] == [
        "degraded    edge=fast, segmentation.model=selfie",
        "people      2 people, 5 faces",
        "review      look at the cutout, agreement 0.87 of 1",
        "face 1      mild smile, both eyes open, 30 × 40 px at 10, 20",
        "face 2      mild smile, both eyes closed, 30 × 40 px at 10, 20",
        "face 3      mild smile, eyes not seen, 30 × 40 px at 10, 20",
        "face 4      mild smile, left eye closed, right eye open, 30 × 40 px at 10, 20",
        "face 5      mild smile, left eye not seen, right eye open, 30 × 40 px at 10, 20",
        "rating      59 of 100: 0.8 × 0.60 smiles + 0.2 × 4 of 7 open eyes (3 not seen)",
        f"print       poor – The person blinks. {PRINTS}",
        "background  paper – calm [0.7]",
        "also good: sky, mint",
        "filter      grade – mono: black and white",
        "filter      hat skipped – no face was found",
        "failed      the file ends early  (image_unreadable, in prepare)",
        "remedy      Send another copy.",
    ]


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"people": 1, "faces": [a_face()]}, "1 person, 1 face\n"),
        ({"people": 0, "faces": []}, "none\n"),
        ({"people": 1, "faces": []}, "1 person, no face\n"),
        ({"people": 0, "needs_review": True}, "review  look at the cutout\n"),
        ({"people": 40, "faces": [a_face()] * 40}, "and 28 more"),
    ],
)
def test_report_has_a_line(fields: dict[str, object], line: str) -> None:
    assert line in report_of(**fields)


@pytest.mark.parametrize(
    ("edge", "asked", "used", "is_said"),
    [
        ("best", "auto", "people", True),
        ("best", "auto", "best", False),
        ("best", "people", "people", False),
        ("balanced", "auto", "people", False),
    ],
)
def test_report_says_that_the_best_edge_had_no_network_of_its_own(
    edge: str, asked: str, used: str, *, is_said: bool
) -> None:
    shown = report_of(
        recipe={"edge": edge, "segmentation": {"model": asked, "params": {}}},
        stages=[{"name": "segmentation", "model": used, "state": "succeeded", "attempt": 1}],
    )

    assert ("best without BiRefNet" in shown) is is_said


def test_lines_on_a_terminal_wrap_within_their_column() -> None:
    text = report_of(a_console(terminal=True, width=40), background=LONG_REASON)

    lines = text.rstrip().split("\n")
    assert len(lines) > 1
    assert all(len(line) <= 40 for line in lines)
    assert all(line.startswith(" " * 14) for line in lines[1:])


@pytest.mark.parametrize(
    ("queue", "text"),
    [
        ((0, 0.2, 0.4), "done in about 1 s"),
        ((4, 50.0, 200.0), "3 before it, done in about 50 s, 3 min at most"),
        ((9000, 7000.0, 9000.0), "8999 before it, done in about 2 h"),
        ((4, None, None), "3 before it, paused by the operator"),
    ],
)
def test_queued_job_reports_its_wait(
    queue: tuple[int, float | None, float | None], text: str
) -> None:
    names = ("position", "eta_p50_s", "eta_p90_s")

    shown = report_of(state="queued", queue=dict(zip(names, queue, strict=True)))

    assert shown.strip() == f"queue  {text}"


def test_progress_counts_photos_and_shows_when_the_last_is_done() -> None:
    console = a_console(terminal=True)

    with Progress(console) as progress:
        for number in (1, 2):
            queue = {"position": number, "eta_p50_s": 2.0 * number, "eta_p90_s": 5.0 * number}
            job = a_job(id=f"j{number}", state="queued", stages=[DONE], queue=queue)
            progress.add(f"{number}.png", job)
        progress.add("3.png", a_job(id="j3", state="failed", stages=[{**DONE, "state": "failed"}]))

    assert "3/3 1 failed" in text_of(console)
    assert "all done in about 4 s, 10 s at most" in text_of(console)


def test_progress_in_a_pipe_is_one_plain_line_for_each_ended_stage() -> None:
    console = a_console()

    with Progress(console) as progress:
        progress.add("photo.png", a_job(stages=[{**DONE, "state": "running", "seconds": None}]))
        progress.update(a_job(stages=[DONE]))
        progress.update(a_job(stages=[DONE]))

    assert text_of(console) == "face succeeded in 0.12 s\n"


def test_reused_stage_is_called_so_in_progress_and_report() -> None:
    reused = {**DONE, "attempt": 0, "seconds": 0.0, "reused": True}
    pipe, terminal, shown = a_console(), a_console(terminal=True), a_console()

    for console in (pipe, terminal):
        with Progress(console) as progress:
            progress.add("photo.png", a_job(stages=[reused]))
    report.print_stages(shown, a_job(stages=[reused]))

    assert text_of(pipe) == "face succeeded (reused)\n"
    assert all("reused" in text_of(console) for console in (terminal, shown))


def test_progress_on_a_terminal_keeps_a_line_for_each_stage() -> None:
    console = a_console(terminal=True)
    waiting = {**DONE, "name": "composite", "state": "waiting", "seconds": None}

    with Progress(console) as progress:
        progress.add("a.png", a_job(stages=[DONE, waiting]))
        progress.update(a_job(stages=[DONE, {**waiting, "state": "failed"}]))

    last = text_of(console).rsplit("✓", 1)[1]
    assert all(words in last for words in ("face", "0.12 s", "✗ composite"))


def test_every_design_is_listed_under_its_family_and_as_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Added pictures need a server; the designs do not.
    monkeypatch.setenv("SMART_FILTER_DATA", "/nonexistent")
    backgrounds.print_backgrounds([])

    shown = capsys.readouterr().out
    backgrounds.print_backgrounds(None)
    assert all(preset.family in shown and preset.name in shown for preset in PRESETS)
    assert "backgrounds add" in shown
    assert "pictures" not in capsys.readouterr().out
    run_command_line(backgrounds.backgrounds, ["list", "--json"])
    listed = json.loads(capsys.readouterr().out)["items"]
    rainbow = next(design for design in listed if design["name"] == "rainbow")
    assert rainbow["source"] == "generated"
    assert rainbow["tags"]


def test_idempotency_key_depends_on_photo_its_name_recipe_and_replaced_job_alone() -> None:
    first = choose_key(an_entry())
    others = [an_entry("b.jpg"), an_entry(digest="e"), an_entry(recipe="s")]

    assert first == choose_key(an_entry("in/a.jpg", is_done=False, job_id="k"))
    assert len({first, choose_key(an_entry(), "j"), *map(choose_key, others)}) == 5


def test_dashboard_in_a_pipe_is_a_plain_line_for_each_photo() -> None:
    console = a_console(width=80)

    with Dashboard(console) as dashboard:
        dashboard.count(waiting=2, before=1)
        dashboard.moved("a.jpg", "sending")
        dashboard.say("waiting for the server")
        dashboard.say("still waiting for the server")
        dashboard.say(None)
        dashboard.ended(Row(file="a.jpg", state="succeeded", people=1, rating=50, seconds=1.25))
        dashboard.ended(Row(file="b.jpg", error={"code": "unreadable", "detail": "no file"}))

    assert text_of(console).splitlines() == [
        "waiting for the server",
        "continuing",
        "[2/3] a.jpg: 1 person, rating 50, 1.25 s",
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
            dashboard.ended(Row(file=f"{number}.jpg", state="succeeded"))
        dashboard.say("waiting for the server (no answer from http://127.0.0.1:29267)")

    shown = text_of(console)
    assert "4/20" in shown
    assert "about 6 min left" in shown
    plain = shown.replace("\x1b[2K", "").replace("\x1b[1A", "").replace("\x1b[?25l", "")
    assert max(map(len, re.split("[\r\n]", plain.replace("\x1b[?25h", "")))) <= width + 1


class FakeClock(StopFlag):
    """A clock without real time that records waits."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float] = []

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)


def asked(stop: StopFlag, *failures: Exception) -> tuple[str, list[str | None]]:
    """Return the answer of a server that first fails in this way, and the messages meanwhile."""
    said: list[str | None] = []
    left = list(failures)

    def answer(client: object) -> str:
        del client
        if left:
            raise left.pop(0)
        return "well"

    patience = RetryingClient(
        lambda: Server("http://127.0.0.1:1", ""), stop=stop, tell=said.append, chance=lambda: 0.5
    )
    try:
        return patience.ask(answer), said
    finally:
        patience.close()


def test_unreachable_server_is_retried_with_growing_pauses() -> None:
    stop = FakeClock()

    answer, said = asked(stop, *[errors.ServerUnreachable("gone")] * 7)

    assert answer == "well"
    assert stop.waited == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]
    assert said == [*["waiting for the server (gone)"] * 7, None]


def test_server_with_retry_after_is_retried_then() -> None:
    stop = FakeClock()

    asked(stop, errors.TryLater("queue_full", status=429, title="full", retry_after=12.0))

    assert stop.waited == [12.5]


def test_refusal_is_not_retried() -> None:
    with pytest.raises(errors.Refused):
        asked(FakeClock(), errors.PhotoRefused("unsupported_media", status=415))


def test_first_stop_ends_the_wait_and_a_second_stops_at_once() -> None:
    stop = FakeClock()
    stop.request()
    first = stop.at_once

    with pytest.raises(StoppedWhileAway):
        asked(stop, errors.ServerUnreachable("gone"))
    stop.request()

    assert (stop.waited, first, stop.at_once) == ([], False, True)


# A title, a link, a bell, a color by C1, a line break, right-to-left text.
HOSTILE = "a\x1b]0;owned\x07b\x9b31mc\nd\re\u202ef\u2066"


def is_harmless(written: str) -> bool:
    return all(line.isprintable() for line in written.split("\n"))


@pytest.mark.parametrize(
    ("words", "escaped"),
    [
        ("Käthe & 花 😀.jpg", "Käthe & 花 😀.jpg"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\tc", "a\\x0ab\\x09c"),
        ("\x9b\xa0", "\\x9b\\xa0"),
        ("\u202egpj.exe\u2069", "\\u202egpj.exe\\u2069"),
        ("\udcff\U000e0041", "\\udcff\\U000e0041"),
    ],
)
def test_unprintable_character_is_shown_by_its_number(words: str, escaped: str) -> None:
    assert escape_unprintable(words) == escaped


def test_error_of_a_command_is_one_harmless_line(capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    def command() -> None:
        raise CommandError(HOSTILE, 1)

    run_command_line(command, [])

    err = capsys.readouterr().err
    assert is_harmless(err)
    assert err.count("\n") == 1


@pytest.mark.parametrize("terminal", [True, False])
def test_console_shows_text_in_brackets_literally(*, terminal: bool) -> None:
    file = io.StringIO()
    console = OurConsole(file=file, force_terminal=terminal, width=200, color_system=None)
    table = Table(box=None)
    table.add_column(HOSTILE)
    table.add_row(Text(HOSTILE), HOSTILE)

    print_table(console, table)
    console.print(HOSTILE, markup=False, soft_wrap=True)
    console.print(Text.assemble(("x", "bold"), HOSTILE))

    assert is_harmless(file.getvalue())
    assert "\\x1b]0;" in file.getvalue()


def test_motion_photo_name_sends_no_terminal_commands() -> None:
    file = io.StringIO()
    console = OurConsole(file=file, force_terminal=True, width=80, height=24, color_system=None)

    with Dashboard(console) as dashboard:
        dashboard.moved(HOSTILE, HOSTILE)
        dashboard.say(HOSTILE)

    written = file.getvalue()
    assert "\\x1b]0;owned" in written
    assert not any(sign in written for sign in ("\x1b]", "\x07", "\x9b", "\u202e"))


def test_object_is_counted_and_warned_of_as_in_a_single_run(tmp_path: Path) -> None:
    small = "The picture is 172 × 172 pixels, which is small for a post: send a larger photo."
    check = {
        "name": "roll",
        "verdict": "fail",
        "measured": "9°",
        "limit": "5°",
        "remedy": "Sit up.",
    }
    document = {"document": "us", "title": "Visa", "verdict": "fail", "checks": [check]}
    job = a_job(people=0, subject="object", warnings=[small], document_report=document)
    with Journal.opened(tmp_path) as journal:
        row = job_row(an_entry("mug.jpg"), job, journal)
    console = a_console()

    report.print_findings(console, job)

    assert summary_line(row).startswith("mug.jpg: 1 object")
    assert row.document == "fail"
    assert row.warnings[1:] == (
        "document: fail – Visa",
        "check: fail: roll 9°, 5° asked. Sit up.",
    )
    assert small in html_report.render_page([row], {}, title="shop")
    assert "1 object" in text_of(console)
    assert "none" not in text_of(console)
