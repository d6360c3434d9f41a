"""Write docs/openapi.json and docs/problems from the code: `make openapi`."""

from smart_filter_api import pages
from smart_filter_api.problem_pages import PAGES
from smart_filter_tests.documents import DOCS, OPENAPI, openapi, written


def main() -> None:
    """Write both; pages of problems that are no more are removed."""
    OPENAPI.write_text(written(openapi()))
    folder = DOCS / "problems"
    folder.mkdir(exist_ok=True)
    for page in folder.glob("*.md"):
        page.unlink()
    for code in PAGES:
        (folder / f"{code}.md").write_text(pages.markdown(code))
    (folder / "README.md").write_text(pages.index())


if __name__ == "__main__":
    main()
