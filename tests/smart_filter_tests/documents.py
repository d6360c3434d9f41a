"""The documents that are made from the code: docs/openapi.json and docs/problems.

python -m smart_filter_tests.documents
"""

import json
from pathlib import Path
from typing import Any

from smart_filter_api import app, pages
from smart_filter_api.problem_pages import PAGES
from smart_filter_deploy.embedded.addresses import Addresses
from smart_filter_tests.bench import settings_of

DOCS = Path(__file__).parents[2] / "docs"
OPENAPI = DOCS / "openapi.json"


def openapi() -> dict[str, Any]:
    nowhere = Addresses(
        database_url="postgresql+psycopg://nobody@localhost/none",
        broker_url="redis://localhost/0",
        storage_url="http://localhost",
        storage_access_key="none",
        storage_secret_key="none",
    )
    return app.create(settings_of(nowhere)).openapi()


def written(document: dict[str, Any]) -> str:
    """Return how the repository holds it: in a stable order, a change a line."""
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> None:
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
