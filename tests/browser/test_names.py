"""Names and marks that anybody may have given a photo: what the page makes of them."""

import uuid

from playwright.sync_api import Page, expect

from smart_filter_tests.browsing.cards import card, expect_state
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.visitors import Visitor

# Returns what a function of one of the studio's modules returns for each value.
_CALL = """async ([module, name, given]) => {
  const { [name]: asked } = await import(`/studio/${module}`);
  return given.map((one) => asked(one));
}"""
_PHOTO_IDS = """async (lists) => {
  const { photoIds } = await import("/studio/state/origins.js");
  return lists.map((jobs) => Object.fromEntries(photoIds(jobs)));
}"""
_MARK = "5" * 32


def _job(number: int, parent: int | None, mark: str | None) -> dict[str, object]:
    return {
        "id": _id(number),
        "parent_id": None if parent is None else _id(parent),
        "metadata": {} if mark is None else {"studio": mark},
    }


def _id(number: int) -> str:
    return str(uuid.UUID(int=number))


def test_name_of_a_photo_becomes_a_safe_file_name(page: Page) -> None:
    expected = {
        "me at home.jpg": ("me at home", "me at home.jpg"),
        "../../.ssh/id_rsa": ("ssh.id_rsa", "id_rsa"),
        "C:\\photos\\me.png": ("C..photos.me", "me.png"),
        "me\u202egpj.exe\n": ("megpj", "megpj.exe"),
        "-o.jpg": ("o", "./-o.jpg"),
        "\u2066-K.jpg": ("K", "./-K.jpg"),
        "...": ("photo", "photo.jpg"),
        "a/..": ("a", "photo.jpg"),
        "": ("photo", "photo.jpg"),
        "12:30 \u5bb6\u65cf.heic": ("12.30 \u5bb6\u65cf", "12:30 \u5bb6\u65cf.heic"),
    }
    names = list(expected)

    stems, paths = (
        page.evaluate(_CALL, ["service/file-names.js", function, names])
        for function in ("stemOf", "pathOf")
    )

    assert dict(zip(names, zip(stems, paths, strict=True), strict=True)) == expected


def test_mark_of_another_photo_takes_no_place(page: Page) -> None:
    cases: list[tuple[list[tuple[int, int | None, str | None]], list[str]]] = [
        # A photo of the studio and its versions, whose first one may not be known.
        ([(1, None, _MARK), (2, 1, _MARK), (3, 2, _MARK)], [_MARK] * 3),
        ([(3, 2, _MARK)], [_MARK]),
        # One that came another way, and what the studio made of it.
        ([(1, None, None), (2, 1, _id(1))], [_id(1)] * 2),
        ([(1, None, None), (2, 1, None), (3, 2, _id(2))], [_id(1), _id(2), _id(2)]),
        # Somebody else's with the mark of a photo that was there before, in any order.
        ([(4, None, _MARK), (5, 4, _MARK), (1, None, _MARK)], [_id(4), _id(4), _MARK]),
        ([(1, None, None), (2, None, _id(1))], [_id(1), _id(2)]),
        ([(1, None, _MARK), (2, None, None), (3, 2, _MARK)], [_MARK, _id(2), _id(2)]),
        # Malformed marks.
        ([(1, None, "../albums"), (2, 1, "x")], [_id(1), _id(2)]),
    ]

    found = page.evaluate(_PHOTO_IDS, [[_job(*job) for job in jobs] for jobs, _ in cases])

    assert found == [
        {_id(number): photo for (number, *_), photo in zip(jobs, photos, strict=True)}
        for jobs, photos in cases
    ]


def test_other_job_with_a_photos_mark_has_its_own_card(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    marked = {"metadata.studio": _MARK, "run_at": "2100-01-01T00:00:00Z"}
    for name in ("mine.png", "another.png"):
        visitor.submit(photos.smiling, metadata__name=name, **marked)

    page.reload()

    expect_state(card(page, "mine.png"), "queued")
    expect(card(page, "another.png")).to_be_visible()
