import pytest

from smart_filter_shared.printability import Verdict
from smart_filter_workers.stages.composite.printability import paper


@pytest.mark.parametrize(
    ("size", "at_300", "at_200"),
    [
        ((4000, 3000), "A4", "30×45"),
        ((3000, 4000), "A4", "30×45"),
        ((1772, 1181), "10×15", "15×20"),
        ((1771, 1181), "9×13", "15×20"),
        ((1024, 709), None, "9×13"),
        ((1023, 709), None, None),
    ],
)
def test_largest_paper_is_the_one_that_the_picture_fills(
    size: tuple[int, int], at_300: str | None, at_200: str | None
) -> None:
    fine, coarse = paper.size(*size).prints

    assert (fine.paper, coarse.paper) == (at_300, at_200)


@pytest.mark.parametrize(
    ("size", "verdict"),
    [
        ((1772, 1181), Verdict.GOOD),
        ((1771, 1181), Verdict.FAIR),
        ((1024, 709), Verdict.FAIR),
        ((240, 320), Verdict.POOR),
        ((20_000, 15_000), Verdict.GOOD),
    ],
)
def test_a_print_for_an_album_at_300_dpi_is_good(size: tuple[int, int], verdict: Verdict) -> None:
    assert paper.size(*size).verdict == verdict


def test_sides_are_told_in_centimetres_and_inches_as_the_picture_lies() -> None:
    fine, _ = paper.size(3000, 1500).prints

    assert (fine.width_in, fine.height_in, fine.width_cm, fine.height_cm) == (10, 5, 25.4, 12.7)


def test_a_sheet_with_a_name_is_not_told_in_centimetres() -> None:
    assert paper.size(4000, 3000).text == "It prints up to A4 at 300 dpi, 30×45 cm at 200 dpi."


def test_prints_are_of_what_edges_show() -> None:
    fair, poor = (paper.size(4000, 2667, detail=detail) for detail in (0.32, 0.2))

    assert fair.text == (
        "It prints up to 10×15 cm at 200 dpi; larger ones look soft, as its edges are soft for "
        "4000 × 2667 pixels."
    )
    assert poor.text == (
        "Its edges are soft: its 4000 × 2667 pixels show no more than 800 × 533 would, too few for "
        "a print of 9×13 cm."
    )
    assert paper.size(512, 384, detail=0.5).text == paper.size(512, 384).text


def test_what_is_too_small_says_how_small_it_is() -> None:
    assert paper.size(512, 384).text == "512 × 384 pixels are too few for a print of 9×13 cm."
