"""docs/capacity.md shows what was answered last, of the figures as they are."""

import pytest

from capacity import answers, fleet, page, validated

FIGURES = fleet.read()


def test_answers_are_of_these_figures() -> None:
    assert answers.read().digest == FIGURES.digest, "run `python -m capacity`"


def test_page_has_the_tables_of_the_answers() -> None:
    text = page.PAGE.read_text()

    shown = page.page(text, FIGURES, answers.read(), validated.read())

    assert shown == text, "run `python -m capacity --tables-only`"


def test_place_for_an_unknown_table_is_an_error() -> None:
    text = "<!-- table: nothing -->\n<!-- end -->"

    with pytest.raises(KeyError, match="nothing"):
        page.page(text, FIGURES, answers.read(), validated.read())


def test_simulation_was_near_the_running_system() -> None:
    compared = validated.read()

    assert {one.fleet for one in compared} == {"alone", "fours"}
    for one in compared:
        assert abs(one.rate_off_percent) <= 10
        assert one.load > 1 or abs(one.p95_off_percent) <= 20
