"""Make the page about recipes: all fields of the form for a photo, from docs/openapi.json."""

import json

from smart_filter_docs.markdown import sections
from smart_filter_docs.reference import schemas
from smart_filter_docs.sources import CHECKOUT


def page() -> str:
    """Return the page."""
    document = json.loads((CHECKOUT / "docs" / "openapi.json").read_text())
    contents = document["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]
    return sections(
        "# Recipe",
        "The options of a job: fields of the form of `POST /v1/jobs`, options of"
        " `smart-filter run` (`--set NAME=VALUE`), keys of the Python client's recipe. In JSON"
        ' names with dots can be nested: `{"segmentation": {"model": "people"}}`. docs/recipes.md'
        " shows which fields to use for a purpose, docs/api/recipes.md has the details of each, and"
        " docs/gallery has pictures.",
        schemas.fields(contents["multipart/form-data"]["schema"], from_page="rest/"),
    )
