"""`smart-filter removebg compare`: the sheet, what is sent, and what is never sent twice."""

import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from smart_filter_deploy.cli.removebg.comparison import LOST
from smart_filter_deploy.cli.removebg.sheet import measure_iou
from smart_filter_tests.commands import Command
from smart_filter_tests.pictures import plain
from smart_filter_tests.removebg_service import Service, a_cutout, a_service

KEY = "a-key-that-nothing-prints"
HOSTILE = '<script>alert(1)</script>&".jpg'


@pytest.fixture
def theirs() -> Iterator[Service]:
    with a_service() as service:
        yield service


@pytest.fixture
def ours() -> Iterator[Service]:
    with a_service() as service:
        service.content = a_cutout(32)
        yield service


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two different photos, one of them twice, and files that are no photos."""
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(plain(64, 48, (10, 20, 30), "JPEG"))
    (folder / "copy of a.jpg").write_bytes(plain(64, 48, (10, 20, 30), "JPEG"))
    (folder / HOSTILE.replace("/", "")).write_bytes(plain(64, 48, (90, 20, 30), "JPEG"))
    (folder / "notes.txt").write_text("no photo")
    (folder / "empty.jpg").touch()
    (folder / "link.jpg").symlink_to("/etc/passwd")
    (folder / "sub").mkdir()
    return folder


Compare = Callable[..., Any]


@pytest.fixture
def compare(
    folder: Path,
    theirs: Service,
    ours: Service,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Compare:
    """Run the command, and return its JSON."""
    monkeypatch.setenv("SMART_FILTER_URL", ours.url)
    monkeypatch.setenv("SMART_FILTER_API_KEY", "ours")
    monkeypatch.setenv("REMOVEBG_API_KEY", KEY)
    monkeypatch.chdir(folder.parent)
    command = Command(capsys)

    def run(*arguments: str, status: int = 0) -> Any:  # noqa: ANN401 - JSON
        given = ("removebg", "compare", str(folder), "--theirs", theirs.url, "--yes", "--json")
        assert command.status(*given, *arguments) == status
        out, err = capsys.readouterr()
        assert KEY not in out + err
        return json.loads(out) if out else err

    return run


def errors(document: Any) -> list[str | None]:  # noqa: ANN401 - JSON
    return [one["theirs"]["error"] for one in document["items"]]


def test_both_cutouts_are_on_the_sheet_with_their_figures(
    compare: Compare, folder: Path, theirs: Service
) -> None:
    compared = compare()

    assert [one["photo"] for one in compared["items"]] == sorted(
        path.name
        for path in folder.iterdir()
        if path.suffix == ".jpg" and path.stat().st_size and not path.is_symlink()
    )
    one = compared["items"][0]
    assert (one["iou"], one["theirs"]["credits"]) == (0.6667, 0.25)
    assert one["theirs"]["size"] == [64, 48]
    html = Path(compared["sheet"]).read_text()
    assert html.count("data:image/webp;base64,") == 9
    assert "66.7%" in html
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert theirs.keys == {KEY}


def test_sheet_loads_nothing(compare: Compare) -> None:
    html = Path(compare()["sheet"]).read_text()

    assert "default-src 'none'" in html
    assert re.findall(r'(?:src|href)="(?!data:image/webp)', html) == []


def test_photo_is_sent_once_by_any_number_of_runs(
    compare: Compare, theirs: Service, ours: Service
) -> None:
    first = compare()
    theirs.account = None  # as after 1 December 2026: nothing is left to send
    again = compare()

    assert len(theirs.photos) == len(ours.photos) == 2, "two photos differ in content"
    assert again == first


def test_file_names_are_not_sent(compare: Compare, theirs: Service) -> None:
    compare()

    assert all(b'filename="photo.jpg"' in photo for photo in theirs.photos)
    assert not any(b"copy of" in photo for photo in theirs.photos)


def test_photo_whose_answer_was_lost_is_not_sent_again(compare: Compare, theirs: Service) -> None:
    theirs.status = 0
    lost = compare(status=1)
    theirs.status = 200
    again = compare(status=1)

    assert len(theirs.photos) == 2
    assert "the answer was lost" in str(errors(lost))
    assert errors(again) == [LOST] * 3


@pytest.mark.parametrize("status", [402, 403, 429])
def test_refusal_before_processing_stops_and_is_tried_by_the_next_run(
    compare: Compare, theirs: Service, ours: Service, status: int
) -> None:
    theirs.status, theirs.content = status, b'{"errors":[{"title":"Insufficient credits"}]}'
    refused = compare(status=1)
    sent = len(theirs.photos)
    theirs.status, theirs.content = 200, a_cutout(32)
    later = compare()

    assert sent == 1
    assert "Insufficient credits" in str(errors(refused))
    assert errors(later) == [None] * 3
    assert len(ours.photos) == 2


def test_rate_limit_is_waited_for_as_the_server_asks(compare: Compare, theirs: Service) -> None:
    theirs.failures = [429, 429]
    theirs.headers["Retry-After"] = "0"
    compared = compare()

    assert errors(compared) == [None] * 3
    assert len(theirs.photos) == 4


@pytest.mark.parametrize(("wait", "sent"), [("0", 4), ("3600", 1)])
def test_rate_limit_that_lasts_ends_the_comparison(
    compare: Compare, theirs: Service, wait: str, sent: int
) -> None:
    theirs.status, theirs.content = 429, b"{}"
    theirs.headers["Retry-After"] = wait
    compare(status=1)

    assert len(theirs.photos) == sent


def test_error_of_a_photo_is_shown_and_kept(compare: Compare, theirs: Service) -> None:
    title = "Could not identify <b>foreground</b> in image. \ud800\x1b[31m" + "x" * 5000
    theirs.status = 400
    theirs.content = json.dumps(
        {"errors": [{"title": title, "code": "unknown_foreground"}]}
    ).encode()
    compared = compare(status=1)
    compare(status=1)

    assert len(theirs.photos) == 2
    assert "400 Could not identify" in str(errors(compared))
    assert len(str(errors(compared)[0])) < 400
    assert "<b>" not in Path(compared["sheet"]).read_text().partition("<main>")[2]


def a_bomb() -> bytes:
    """Return a PNG whose header says 400 megapixels."""
    packed = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(packed, "PNG")
    return packed.getvalue()


@pytest.mark.parametrize(
    "content", [b"", b"no picture", a_cutout(3)[:60], a_bomb()], ids=["none", "text", "cut", "bomb"]
)
def test_answer_that_is_no_picture_is_a_failure_with_its_reason(
    compare: Compare, theirs: Service, content: bytes
) -> None:
    theirs.content = content

    compared = compare(status=1)

    assert [one["iou"] for one in compared["items"]] == [None] * 3
    assert errors(compared) == ["200, but not a picture (image/png)"] * 3
    html = Path(compared["sheet"]).read_text()
    assert "200, but not a picture (image/png)" in html
    assert "<th>theirs</th><td>0 of 3</td>" in html


def test_page_instead_of_our_picture_is_not_stored_and_asked_for_again(
    compare: Compare, theirs: Service, ours: Service
) -> None:
    ours.kind, ours.content = "text/html", b"<html>a proxy's page</html>"
    refused = compare(status=1)
    stored = list((Path(refused["sheet"]).parent / "ours").glob("*.png"))
    ours.kind, ours.content = "image/png", a_cutout(32)
    compare()

    reasons = {one["ours"]["error"] for one in refused["items"]}
    assert (reasons, stored) == ({"200, but not a picture (text/html)"}, [])
    assert len(theirs.photos) == 2


def test_nothing_is_paid_while_ours_does_not_answer(
    compare: Compare, theirs: Service, ours: Service
) -> None:
    ours.status = 0

    compared = compare(status=1)

    assert theirs.photos == []
    assert "not sent" in str(errors(compared))


def test_limit_bounds_what_is_sent(compare: Compare, theirs: Service) -> None:
    compared = compare("--limit", "1")

    assert (len(theirs.photos), len(compared["items"]), compared["left"]) == (1, 1, 2)


def test_cost_is_shown_and_needs_a_yes(
    compare: Compare, theirs: Service, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del compare  # only its environment
    command = Command(capsys)
    line = command.output("removebg", "compare", str(folder), "--theirs", theirs.url)

    assert "2 photos will be sent" in line
    assert "at most 0.5 credits (size preview)" in line
    assert "40 credits and 50 free calls" in line
    assert "add --yes" in line
    assert theirs.photos == []


@pytest.mark.parametrize("account", [None, [], {"data": {}}, {"data": {"attributes": "x"}}])
def test_service_without_an_account_is_not_used(
    compare: Compare, theirs: Service, account: object
) -> None:
    theirs.account = account

    assert "without an account" in compare(status=3)
    assert theirs.photos == []


def test_missing_key_and_empty_folder_are_wrong_usage(
    compare: Compare, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REMOVEBG_API_KEY")
    assert "REMOVEBG_API_KEY" in compare(status=2)
    for path in folder.glob("*.jpg"):
        path.unlink()
    assert "no JPEG" in compare(status=2)


def test_damaged_answers_count_as_lost(compare: Compare, theirs: Service, folder: Path) -> None:
    compare()
    for path in (folder.parent / "photos.removebg/theirs").glob("*.json"):
        path.write_text('{"status": NaN}')

    assert errors(compare(status=1)) == [LOST] * 3
    assert len(theirs.photos) == 2


def test_agreement_of_masks_of_different_sizes() -> None:
    def mask(kept: slice, side: int) -> np.ndarray:
        rgba = np.zeros((side, side, 4), np.uint8)
        rgba[:, kept, 3] = 255
        return rgba

    assert measure_iou(mask(slice(0, 50), 100), mask(slice(0, 100), 200)) == 1.0
    assert measure_iou(mask(slice(0, 50), 100), mask(slice(50, 100), 100)) == 0.0
    assert measure_iou(mask(slice(0, 0), 100), mask(slice(0, 0), 100)) is None
