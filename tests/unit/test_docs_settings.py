"""docs/settings.md names every variable that the code reads, with the code's defaults."""

import pytest

from smart_filter_docs import settings


def test_page_has_the_defaults_of_the_code() -> None:
    text = settings.PAGE.read_text()

    assert settings.page(text) == text, "run `make docs`"


def test_wrong_default_is_corrected() -> None:
    text = settings.PAGE.read_text().replace("LEASE_SECONDS | 30 |", "LEASE_SECONDS | 31 |")

    assert "LEASE_SECONDS | 30 |" in settings.page(text)


def test_variable_without_a_row_is_an_error() -> None:
    text = settings.PAGE.read_text().replace("| SMART_FILTER_LEASE_SECONDS |", "| LEASE |")

    with pytest.raises(settings.Undescribed, match="SMART_FILTER_LEASE_SECONDS"):
        settings.page(text)
