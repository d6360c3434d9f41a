"""Names and marks that anybody may have given a photo: what the page makes of them."""

import uuid

import httpx
import pytest
from playwright.sync_api import Page, expect

from smart_filter_tests.browsing.cards import card, expect_state
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.visitors import Visitor

_CALL = (
    """async ([module, name, ...given]) => (await import(`/studio/${module}`))[name](...given)"""
)
_NAMES = "service/file-names.js"
_MARK = "5" * 32
_LATER = "2100-01-01T00:00:00Z"


def _job(number: int, parent: int | None, mark: str | None) -> dict[str, object]:
    return {
        "id": _id(number),
        "parent_id": None if parent is None else _id(parent),
        "metadata": {} if mark is None else {"studio": mark},
    }


def _id(number: int) -> str:
    return str(uuid.UUID(int=number))


@pytest.mark.parametrize(
    ("name", "stem", "path"),
    [
        ("me at home.jpg", "me at home", "me at home.jpg"),
        ("../../.ssh/id_rsa", "ssh.id_rsa", "id_rsa"),
        ("C:\\photos\\me.png", "C..photos.me", "me.png"),
        ("me\u202egpj.exe\n", "megpj", "megpj.exe"),
        ("-o.jpg", "o", "./-o.jpg"),
        ("\u2066-K.jpg", "K", "./-K.jpg"),
        ("...", "photo", "photo.jpg"),
        ("a/..", "a", "photo.jpg"),
        ("", "photo", "photo.jpg"),
        ("12:30 \u5bb6\u65cf.heic", "12.30 \u5bb6\u65cf", "12:30 \u5bb6\u65cf.heic"),
    ],
)
def test_name_becomes_one_of_a_file_here(page: Page, name: str, stem: str, path: str) -> None:
    assert page.evaluate(_CALL, [_NAMES, "stemOf", name]) == stem
    assert page.evaluate(_CALL, [_NAMES, "pathOf", name]) == path


@pytest.mark.parametrize(
    ("jobs", "photos"),
    [
        # A photo of the studio and its versions, whose first one may not be known.
        ([(1, None, _MARK), (2, 1, _MARK), (3, 2, _MARK)], [_MARK] * 3),
        ([(3, 2, _MARK)], [_MARK]),
        # One that came another way, and what the studio made of it.
        ([(1, None, None), (2, 1, _id(1))], [_id(1)] * 2),
        ([(1, None, None), (2, 1, None), (3, 2, _id(2))], [_id(1), _id(2), _id(2)]),
        # Somebody else's with the mark of a photo that was there before, whatever their order.
        ([(4, None, _MARK), (5, 4, _MARK), (1, None, _MARK)], [_id(4), _id(4), _MARK]),
        ([(1, None, None), (2, None, _id(1))], [_id(1), _id(2)]),
        ([(1, None, _MARK), (2, None, None), (3, 2, _MARK)], [_MARK, _id(2), _id(2)]),
        # Marks that are none.
        ([(1, None, "../albums"), (2, 1, "x")], [_id(1), _id(2)]),
    ],
)
def test_mark_of_another_photo_takes_no_place(
    page: Page, jobs: list[tuple[int, int | None, str | None]], photos: list[str]
) -> None:
    known = [_job(*job) for job in jobs]

    found = page.evaluate(
        """async (all) => {
          const { photoIds } = await import("/studio/state/origins.js");
          return Object.fromEntries(photoIds(all));
        }""",
        known,
    )

    assert [found[str(job["id"])] for job in known] == photos


def test_other_job_with_a_photos_mark_is_seen_beside_it(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    for name in ("mine.png", "another.png"):
        answer = visitor.client.post(
            "/v1/jobs",
            files={"photo": photos.smiling.read_bytes()},
            data={"metadata.name": name, "metadata.studio": _MARK, "run_at": _LATER},
        )
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text

    page.reload()

    expect_state(card(page, "mine.png"), "queued")
    expect(card(page, "another.png")).to_be_visible()
