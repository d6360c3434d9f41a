"""The page about recipes: every field of the form that submits a photo, from docs/openapi.json."""

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
        "What a job may be asked for: fields of the form of `POST /v1/jobs`, options of"
        " `smart-filter run` (`--set NAME=VALUE`), keys of the Python client's recipe. In JSON"
        ' those with dots may be nested: `{"segmentation": {"model": "people"}}`. docs/recipes.md'
        " says which to take for what, docs/contract.md more of each, docs/gallery shows what they"
        " do.",
        schemas.fields(contents["multipart/form-data"]["schema"], from_page="rest/"),
    )
