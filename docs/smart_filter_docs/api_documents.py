"""Write docs/openapi.json, docs/problems and the tables of recipes: `make openapi`."""

from smart_filter_api.problems import problem
from smart_filter_api.problems.catalog import PAGES
from smart_filter_docs import recipe_tables
from smart_filter_tests.openapi_document import DOCS, OPENAPI, openapi, render_json


def main() -> None:
    """Write all three, and remove the pages of former problems."""
    OPENAPI.write_text(render_json(openapi()))
    recipe_tables.PAGE.write_text(recipe_tables.write_tables(recipe_tables.PAGE.read_text()))
    folder = DOCS / "problems"
    folder.mkdir(exist_ok=True)
    for page in folder.glob("*.md"):
        page.unlink()
    for code in PAGES:
        (folder / f"{code}.md").write_text(problem.render_markdown(code))
    (folder / "README.md").write_text(problem.render_index())


if __name__ == "__main__":
    main()
