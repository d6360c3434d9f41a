"""Documents are rows of data: ours, the operator's, and the table of the page."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from smart_filter_shared.errors import Contradiction, InvalidRecipe, SetupFailed
from smart_filter_shared.recipe import Format
from smart_filter_shared.recipe.document_photos import OWN_ROWS, document_photos
from smart_filter_shared.recipe.fields import from_json
from smart_filter_tests.recipes import error_fields, parse_fields

PAGE = (Path(__file__).parents[4] / "docs/documents.md").read_text("utf-8")
CLUB = """[club]
title = "Membership card"
size = [25, 30]
heights = [400, 800]
head = [16, 20]
backgrounds = ["#ffffff"]
"""


@pytest.fixture
def own_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The operator's file, still empty."""
    file = tmp_path / "documents.toml"
    monkeypatch.setenv(OWN_ROWS, str(file))
    document_photos.cache_clear()
    yield file
    document_photos.cache_clear()


@pytest.mark.parametrize("name", document_photos())
def test_document_is_on_the_page_with_its_figures_and_source(name: str) -> None:
    document = document_photos()[name]
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |"))
    read = f"{document.authority or 'secondary page'}, [read {document.checked}]({document.source})"
    spans = [
        "–" if span is None else f"{span[0]:g}–{span[1]:g}"
        for span in (document.head, document.eyes, document.above)
    ]
    spans[0] += " with hair" * document.hair

    cells = [cell.strip() for cell in row.strip("|").split("|")]

    assert cells[1] == document.title
    assert cells[2] == " × ".join(f"{side:g}" for side in document.size)
    assert cells[3:6] == spans
    assert cells[6] == " ".join(f"`{color}`" for color in document.backgrounds)
    assert cells[-1] == ("ours" if document.source is None else read)


@pytest.mark.parametrize("name", ["us", ["us"]])
def test_what_follows_from_a_document_gives_way_to_what_is_asked(name: str | list[str]) -> None:
    plain = parse_fields(document=name)
    asked = parse_fields(document="us", background="keep", format="png")

    assert (str(plain.background), plain.format) == ("color:#ffffff", Format.JPG)
    assert plain.files.max_bytes == 240_000
    assert (str(asked.background), asked.format) == ("keep", Format.PNG)
    assert plain.rates_people


@pytest.mark.parametrize(("outputs", "most"), [("sheet", None), ("sheet, image", 240_000)])
def test_limit_of_bytes_follows_where_a_file_has_it(outputs: str, most: int | None) -> None:
    assert parse_fields(document="us", outputs=outputs).files.max_bytes == most


@pytest.mark.parametrize("cut", [{"mask": "upload"}, {"segmentation__model": "selfie"}])
def test_matte_without_persons_is_enough_for_a_document(cut: dict[str, str]) -> None:
    assert parse_fields(document="us", **cut).framing.document


@pytest.mark.parametrize(
    ("fields", "at_fault"),
    [
        ({"document": "us", "size": "600x600"}, ["/size", "/document"]),
        ({"document": "us", "format": "webp"}, ["/format", "/document"]),
        ({"require": "pass"}, ["/require", "/document"]),
        ({"outputs": "sheet"}, ["/outputs", "/document"]),
        ({"document": "us", "outputs": "cutout"}, ["/document", "/outputs"]),
    ],
)
def test_document_sets_the_frame_alone(fields: dict[str, str], at_fault: list[str]) -> None:
    with pytest.raises(Contradiction) as refused:
        parse_fields(**fields)

    assert error_fields(refused.value) == at_fault


def test_unknown_document_is_refused_with_the_nearest() -> None:
    with pytest.raises(InvalidRecipe, match="did you mean schengen"):
        parse_fields(document="shengen")


def test_stored_recipe_is_read_without_its_row(own_rows: Path) -> None:
    own_rows.write_text(CLUB)
    stored = parse_fields(document="club", require="pass").as_json()
    own_rows.write_text("")
    document_photos.cache_clear()

    recipe = from_json(stored, seed=1, metadata={})

    assert recipe.as_json() == stored
    assert recipe.framing.document is not None
    assert recipe.framing.document.is_gone


def test_operator_adds_a_row(own_rows: Path) -> None:
    own_rows.write_text(CLUB)

    document = parse_fields(document="club").framing.document

    assert document is not None
    assert document.fit_pixels(10.0) == (333, 400)
    assert "us" in document_photos()


def test_file_of_another_program_may_begin_with_a_byte_order_mark(own_rows: Path) -> None:
    own_rows.write_text(CLUB, "utf-8-sig")

    assert "club" in document_photos()


def test_what_is_no_readable_file_is_refused(own_rows: Path) -> None:
    os.mkfifo(own_rows)
    with pytest.raises(SetupFailed, match="no regular file"):
        document_photos()
    own_rows.unlink()

    own_rows.write_text("#" * 1_000_001)
    with pytest.raises(SetupFailed, match="more than 1000000 bytes"):
        document_photos()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("head = [20, 16]", "the least is more than the most"),
        ("head = [40, 50]", "the head does not fit"),
        ("head = [0, 1]", "less than a tenth of the photo"),
        ("headd = [16, 20]", r"documents.toml: 'club.headd': .* did you mean head\?"),
        ("backgrounds = ['#ffffff80']", "a color is not opaque"),
        ("heights = [400, 90000]", "less than or equal to 4000"),
        ("heights = [400, 4000]", "over 60 pixels for each mm"),
        ("size = [19, 80]", "more than 4 times the other"),
        ("width = [5, 7]", "'club': no head has such a width"),
        ("ratio = 5\nbytes = [0, 60_000]", "'club': ratio asks for more bytes than bytes allows"),
        ("source = 'javascript:alert(1)'", r"'club.source': .* should match pattern '\^https"),
        ("bytes = [900_000, 1_000_000]", "bytes asks for more than the pixels hold"),
        ("backgrounds = ['lab(60% 120 0)']", "a color is outside sRGB"),
        ("title = ' '", "'club.title': String should match pattern"),
        ("title = 'Club\u200b'", "'club.title': String should match pattern"),
        ("eyes = [25, 27]", "the head does not fit to its eyes"),
        ("[none]", "and is not none"),
        ("club = 3", "'club.club': is not a field"),
        ("[club", "cannot be read"),
    ],
)
def test_faulty_row_is_named(own_rows: Path, line: str, says: str) -> None:
    key, _, _ = line.partition(" = ")
    rest = (each for each in CLUB.splitlines() if not each.startswith(f"{key} = "))
    own_rows.write_text("\n".join((*rest, line)))

    with pytest.raises(SetupFailed, match=says):
        document_photos()
