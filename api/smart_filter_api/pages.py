"""The pages of problems, as Markdown for the repository and as HTML for browsers."""

import html
import re

from smart_filter_api import problems
from smart_filter_api.problem_pages import PAGES
from smart_filter_api.problems import KINDS, Problem
from smart_filter_shared.errors import FieldError

# Of an example; whatever else stands there would be of somebody's request.
_REQUEST_ID = "3f1c2b4a-9d8e-4f70-a1b2-c3d4e5f60718"


def example(code: str) -> Problem:
    """Return a document as a problem of this code has it.  Raises KeyError for an unknown one."""
    page = PAGES[code]
    # A recipe's problems name the fields before each complaint.
    complaint = page.detail.rpartition(f"{page.pointers[-1]}: ")[2] if page.pointers else ""
    errors = [FieldError(pointer, complaint) for pointer in page.pointers]
    return problems.document(code, page.detail, _REQUEST_ID, errors)


def markdown(code: str) -> str:
    """Return the page of a code.  Raises KeyError for an unknown one."""
    page, kind = PAGES[code], KINDS[code]
    causes = "\n".join(f"- {cause}" for cause in page.causes)
    return (
        f"# {kind.title}\n\n"
        f"`{code}` · status {kind.status.value} · `{problems.TYPE_BASE}{code}`\n\n"
        f"{page.meaning}\n\n"
        f"## Causes\n\n{causes}\n\n"
        f"## Remedy\n\n{page.remedy}\n\n"
        f"## Example\n\n```json\n{_shown(code)}\n```\n"
    )


def as_html(code: str) -> str:
    """Return the same as a document for browsers, without style or script."""
    page, kind = PAGES[code], KINDS[code]
    causes = "".join(f"<li>{_phrase(cause)}</li>\n" for cause in page.causes)
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f"<title>{html.escape(kind.title)}</title>\n"
        f"<h1>{html.escape(kind.title)}</h1>\n"
        f"<p><code>{code}</code> · status {kind.status.value} · "
        f"<code>{problems.TYPE_BASE}{code}</code></p>\n"
        f"<p>{_phrase(page.meaning)}</p>\n"
        f"<h2>Causes</h2>\n<ul>\n{causes}</ul>\n"
        f"<h2>Remedy</h2>\n<p>{_phrase(page.remedy)}</p>\n"
        f"<h2>Example</h2>\n<pre>{html.escape(_shown(code))}</pre>\n</html>\n"
    )


def index() -> str:
    """Return a list of all pages, in Markdown."""
    rows = "\n".join(
        f"| {kind.status.value} | [`{code}`]({code}.md) | {kind.title} |"
        for code, kind in sorted(KINDS.items(), key=lambda one: (one[1].status, one[0]))
    )
    return (
        "# Problems\n\nEvery error is a problem document (RFC 9457). The service shows each of "
        f"these pages at `{problems.PAGES_PATH}/CODE`, where the header `Link` of a problem "
        f"leads.\n\n| status | code | title |\n|---|---|---|\n{rows}\n"
    )


def _shown(code: str) -> str:
    return example(code).model_dump_json(exclude_none=True, indent=2)


def _phrase(text: str) -> str:
    return re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))
