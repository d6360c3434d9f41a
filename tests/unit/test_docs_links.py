from pathlib import PurePosixPath

import pytest

from smart_filter_docs import links, settings

PLACES = {
    "README.md": PurePosixPath("index.md"),
    "docs/models.md": PurePosixPath("models.md"),
    "docs/gallery/README.md": PurePosixPath("gallery/index.md"),
    "docs/models/lids.md": PurePosixPath("models/lids.md"),
    "docs/decisions/0007-memory.md": PurePosixPath("decisions/0007-memory.md"),
}
TITLES = {"docs/models.md": "Models", "docs/decisions/0007-memory.md": "7. Memory"}


@pytest.mark.parametrize(
    ("source", "written", "shown"),
    [
        ("README.md", "[all](docs/models.md#weights)", "[all](models.md#weights)"),
        ("README.md", "![a](docs/gallery)", "![a](gallery/index.md)"),
        ("docs/models/lids.md", "[all](../models.md)", "[all](../models.md)"),
        ("docs/models.md", "[out](https://example.com) [here](#a)", None),
        ("docs/models/lids.md", "see docs/models.md.", "see [Models](../models.md)."),
        (
            "docs/models.md",
            "docs/decisions/0007 says",
            "[7. Memory](decisions/0007-memory.md) says",
        ),
        ("docs/models.md", "`docs/models.md` and docs/other.md", None),
        ("docs/models.md", "    type docs/models.md\n", None),
        ("docs/models.md", "```\ndocs/models.md\n```\n", None),
    ],
)
def test_link_leads_where_the_page_lies(source: str, written: str, shown: str | None) -> None:
    found = links.rewritten(written, source, places=PLACES, titles=TITLES)

    assert found == (written if shown is None else shown)


def test_page_has_the_defaults_of_the_code() -> None:
    text = settings.PAGE.read_text()

    assert settings.page(text) == text, "run `make docs`"
