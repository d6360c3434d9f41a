"""What follows from the declared fields of a recipe."""

import pytest

from smart_filter_docs import api_documents
from smart_filter_shared.recipe import Recipe, fields
from smart_filter_shared.recipe.recipe import declared_fields

WITH_DEFAULT = [
    field.name for field in declared_fields().values() if field.default_json and field.kind
]


@pytest.mark.parametrize("name", WITH_DEFAULT)
def test_default_is_read_as_it_is_written(name: str) -> None:
    field = declared_fields()[name]
    read = fields.parse({name: field.default_json}, offered={})

    assert read == Recipe()


def test_text_of_a_field_is_short_enough_for_a_form() -> None:
    long = [name for name, field in declared_fields().items() if len(field.help) > 200]

    assert long == []


def test_tables_of_the_page_are_those_of_the_declared_fields() -> None:
    page = api_documents.PAGE.read_text()

    assert page == api_documents.write_tables(page), "make openapi"
