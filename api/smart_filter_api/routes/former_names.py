"""Endpoint for the page of former spellings, to which `Link` of a `Deprecation` answer leads."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from smart_filter_api.http.middleware import FORMER_NAMES_PATH
from smart_filter_shared.recipe.spellings import CURRENT_NAMES

# The page is for people, who follow the header.
router = APIRouter(include_in_schema=False)

_ROWS = "".join(
    f"<tr><td><code>{former}</code></td><td><code>{current}</code></td></tr>\n"
    for former, current in CURRENT_NAMES.items()
)
_PAGE = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Former names</title>
<h1>Former names</h1>
<p>These names of recipe fields are accepted, but deprecated. Write the current ones.</p>
<table>
<tr><th>former</th><th>current</th></tr>
{_ROWS}</table>
</html>
"""


@router.get(FORMER_NAMES_PATH)
async def explain() -> HTMLResponse:
    """Return the page of deprecated names."""
    return HTMLResponse(_PAGE)
