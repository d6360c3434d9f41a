"""What people read about a job."""

import io

import pytest
from rich.console import Console

from smart_filter_client.models import Job, job_from
from smart_filter_deploy.cli import report
from smart_filter_deploy.cli.progress import Progress
from smart_filter_tests.printable import PRINTABILITY

DONE = {"name": "face", "model": "centerface", "state": "succeeded", "attempt": 1, "seconds": 0.123}
ROOMY = 100


def a_console(*, terminal: bool = False, width: int = ROOMY) -> Console:
    return Console(
        file=io.StringIO(), force_terminal=terminal, width=width, highlight=False, color_system=None
    )


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def a_job(**fields: object) -> Job:
    return job_from({"id": "j1", "state": "succeeded", **fields})


def a_face(level: str = "mild", *, left: bool | None = True, right: bool | None = True) -> object:
    return {
        "box": [10, 20, 30, 40],
        "smile": {"level": level, "score": 0.5},
        "eyes": {"left_open": left, "right_open": right},
    }


def found(job: Job) -> str:
    console = a_console()
    report.print_found(console, job)
    return text_of(console)


def test_people_and_faces_are_counted() -> None:
    assert "1 person, 1 face\n" in found(a_job(people=1, faces=[a_face()]))
    assert "2 people, no face\n" in found(a_job(people=2, faces=[]))
    assert "nobody\n" in found(a_job(people=0, faces=[]))


def test_members_that_disagree_ask_for_a_look() -> None:
    assert "agreement  0.87 of 1: have a look\n" in found(
        a_job(confidence=0.871, needs_review=True)
    )
    assert "agreement  0.95 of 1\n" in found(a_job(confidence=0.95, needs_review=False))


def test_print_is_told_with_its_reasons_and_the_largest_paper() -> None:
    told = found(a_job(printability=PRINTABILITY))

    assert "print  poor – The person blinks. It prints up to 10×15 cm at 300 dpi, " in told


def test_filters_come_with_what_was_drawn_or_why_not() -> None:
    told = found(
        a_job(
            filters=[
                {"name": "grade", "applied": True, "reason": "mono: black and white"},
                {"name": "hat", "applied": False, "reason": "no face was found"},
                {"name": "caption", "applied": None, "reason": None},
            ]
        )
    )

    assert "filter  grade – mono: black and white\n" in told
    assert "filter  hat left out – no face was found\n" in told
    assert "caption" not in told


def test_what_was_not_asked_for_is_not_told() -> None:
    assert not found(a_job(people=None, faces=None, rating=None, background=None)).strip()


@pytest.mark.parametrize(
    ("left", "right", "told"),
    [
        (True, True, "both eyes open"),
        (False, False, "both eyes closed"),
        (None, None, "eyes not seen"),
        (False, True, "left eye closed, right eye open"),
        (None, True, "left eye not seen, right eye open"),
    ],
)
def test_eyes_are_the_persons_own(left: bool | None, right: bool | None, told: str) -> None:  # noqa: FBT001
    assert told in found(a_job(people=1, faces=[a_face(left=left, right=right)]))


def test_rating_shows_the_terms_that_make_it() -> None:
    rating = {
        "score": 0.58,
        "avg_smiling_score": 0.6,
        "open_eye_ratio": 0.5,
        "shares": {"smile": 0.8, "eyes": 0.2},
    }

    assert "0.58 = 0.8 × 0.60 smiles + 0.2 × 0.50 open eyes" in found(a_job(rating=rating))


def test_backgrounds_that_would_have_gone_as_well_are_named() -> None:
    candidates = [{"name": name, "score": 0.9, "terms": {}} for name in ("paper", "sky", "mint")]
    background = {"kind": "preset", "name": "paper", "reason": "calm", "candidates": candidates}

    told = found(a_job(background=background, outputs={"image": "/v1/jobs/j1/outputs/image"}))

    assert "also good: sky, mint" in told


def test_a_background_that_nothing_shows_is_not_told() -> None:
    outputs = {"printability": "/v1/jobs/j1/outputs/printability"}

    assert "background" not in found(a_job(background={"kind": "auto"}, outputs=outputs))


def test_background_comes_with_its_reason() -> None:
    background = {"kind": "preset", "name": "paper", "reason": "calm [0.7]"}

    assert "paper – calm [0.7]" in found(a_job(background=background))


def test_failure_comes_with_its_code_and_stage() -> None:
    error = {"code": "image_unreadable", "detail": "the file ends early", "stage": "prepare"}

    assert "the file ends early  (image_unreadable, in prepare)" in found(a_job(error=error))


def test_many_faces_are_not_all_told() -> None:
    told = found(a_job(people=40, faces=[a_face()] * 40))

    assert "face 12" in told
    assert "face 13" not in told
    assert "and 28 more" in told


def test_lines_in_a_pipe_are_not_broken() -> None:
    console = a_console(width=40)

    report.print_found(console, a_job(background={"kind": "auto", "reason": "because " * 20}))

    assert text_of(console).count("\n") == 1


def test_lines_on_a_terminal_are_broken_below_their_own_column() -> None:
    console = a_console(terminal=True, width=40)

    report.print_found(console, a_job(background={"kind": "auto", "reason": "because " * 20}))

    lines = text_of(console).rstrip().split("\n")
    assert len(lines) > 1
    assert all(len(line) <= 40 for line in lines)
    assert all(line.startswith("              ") for line in lines[1:])


@pytest.mark.parametrize(
    ("count", "told"),
    [(0, "0 bytes"), (999, "999 bytes"), (84_210, "84 kB"), (3_456_000, "3.5 MB")],
)
def test_sizes_are_short(count: int, told: str) -> None:
    assert report.size(count) == told


@pytest.mark.parametrize(
    ("queue", "told"),
    [
        ((0, 0.2, 0.4), "done in about 1 s"),
        ((1, 4.4, 9.1), "done in about 4 s, 9 s at most"),
        ((4, 50.0, 200.0), "3 before it, done in about 50 s, 3 min at most"),
        ((9000, 7000.0, 9000.0), "8999 before it, done in about 2 h"),
        ((4, None, None), "3 before it, held up by the operator"),
    ],
)
def test_job_that_waits_says_how_long(
    queue: tuple[int, float | None, float | None], told: str
) -> None:
    console = a_console()
    names = ("position", "eta_p50_s", "eta_p90_s")

    job = a_job(state="queued", queue=dict(zip(names, queue, strict=True)))
    report.print_found(console, job)

    assert text_of(console).strip() == f"queue  {told}"


def test_what_was_given_up_for_a_deadline_is_told() -> None:
    console = a_console()

    report.print_found(console, a_job(degraded=["edge=fast", "segmentation.model=selfie"]))

    assert "degraded  edge=fast, segmentation.model=selfie" in text_of(console)


def test_progress_of_several_photos_says_when_the_last_is_done() -> None:
    console = a_console(terminal=True)

    with Progress(console) as progress:
        for number in (1, 2):
            queue = {"position": number, "eta_p50_s": 2.0 * number, "eta_p90_s": 5.0 * number}
            document = {"id": f"j{number}", "state": "queued", "stages": [DONE], "queue": queue}
            progress.add(f"{number}.png", job_from(document))

    assert "all done in about 4 s, 10 s at most" in text_of(console)


def test_progress_in_a_pipe_is_one_plain_line_for_each_stage_that_ended() -> None:
    console = a_console()

    with Progress(console) as progress:
        progress.add("photo.png", a_job(stages=[{**DONE, "state": "running", "seconds": None}]))
        progress.update(a_job(stages=[DONE]))
        progress.update(a_job(stages=[DONE]))

    assert text_of(console) == "face succeeded in 0.12 s\n"


def test_progress_of_several_photos_in_a_pipe_names_them() -> None:
    console = a_console()

    with Progress(console) as progress:
        progress.add("a.png", a_job(stages=[]))
        progress.add("b.png", job_from({"id": "j2", "state": "running", "stages": [DONE]}))

    assert text_of(console) == "b.png: face succeeded in 0.12 s\n"


def test_progress_on_a_terminal_keeps_a_line_for_each_stage() -> None:
    console = a_console(terminal=True)

    with Progress(console) as progress:
        waiting = {"name": "composite", "state": "waiting"}
        progress.add("a.png", a_job(stages=[DONE, waiting]))
        progress.update(a_job(stages=[DONE, {**waiting, "state": "failed"}]))

    last = text_of(console).rsplit("✓", 1)[1]
    assert "face" in last
    assert "0.12 s" in last
    assert "✗ composite" in last


def test_progress_of_several_photos_on_a_terminal_counts_them() -> None:
    console = a_console(terminal=True)

    with Progress(console) as progress:
        progress.add("a.png", a_job(stages=[DONE]))
        progress.add(
            "b.png",
            job_from({"id": "j2", "state": "failed", "stages": [{**DONE, "state": "failed"}]}),
        )

    assert "2/2 1 failed" in text_of(console)
