"""The API description in docs/openapi.json, which `make openapi` writes."""

import json
from pathlib import Path
from typing import Any

from smart_filter_api import app
from smart_filter_deploy.embedded.addresses import Addresses
from smart_filter_tests.bench import settings_of

DOCS = Path(__file__).parents[2] / "docs"
OPENAPI = DOCS / "openapi.json"


def openapi() -> dict[str, Any]:
    nowhere = Addresses(
        database_url="postgresql+psycopg://user@localhost/none",
        broker_url="redis://localhost/0",
        storage_url="file:///none",
    )
    return app.create(settings_of(nowhere)).openapi()


def render_json(document: dict[str, Any]) -> str:
    """Render the description as the repository stores it: in a stable order, one value per line."""
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
