"""Render the pages of problems, as Markdown for the repository and as HTML for browsers."""

import html
import re

from smart_filter_api.problems import problem
from smart_filter_api.problems.catalog import PAGES
from smart_filter_api.problems.problem import KINDS
from smart_filter_shared.errors import FieldError
from smart_filter_shared.typed_json import adapter
from smart_filter_wire.problems import Problem

# The request id in examples.
_REQUEST_ID = "3f1c2b4a-9d8e-4f70-a1b2-c3d4e5f60718"


def example_problem(code: str) -> Problem:
    """Return an example document for a code.  Raises KeyError for an unknown one."""
    page = PAGES[code]
    # The detail of a recipe problem starts with its field names.
    complaint = page.detail.rpartition(f"{page.pointers[-1]}: ")[2] if page.pointers else ""
    errors = [FieldError(pointer, complaint) for pointer in page.pointers]
    return problem.build_problem(code, page.detail, _REQUEST_ID, errors)


def render_markdown(code: str) -> str:
    """Return the page of a code as Markdown.  Raises KeyError for an unknown one."""
    page, kind = PAGES[code], KINDS[code]
    causes = "\n".join(f"- {cause}" for cause in page.causes)
    return (
        f"# {kind.title}\n\n"
        f"`{code}` · status {kind.status.value} · `{problem.TYPE_BASE}{code}`\n\n"
        f"{page.meaning}\n\n"
        f"## Causes\n\n{causes}\n\n"
        f"## Remedy\n\n{page.remedy}\n\n"
        f"## Example of `detail`\n\n> {page.detail}\n"
    )


def render_html(code: str) -> str:
    """Return the page of a code as HTML, without style or script."""
    page, kind = PAGES[code], KINDS[code]
    causes = "".join(f"<li>{_inline_html(cause)}</li>\n" for cause in page.causes)
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f"<title>{html.escape(kind.title)}</title>\n"
        f"<h1>{html.escape(kind.title)}</h1>\n"
        f"<p><code>{code}</code> · status {kind.status.value} · "
        f"<code>{problem.TYPE_BASE}{code}</code></p>\n"
        f"<p>{_inline_html(page.meaning)}</p>\n"
        f"<h2>Causes</h2>\n<ul>\n{causes}</ul>\n"
        f"<h2>Remedy</h2>\n<p>{_inline_html(page.remedy)}</p>\n"
        f"<h2>Example</h2>\n<pre>{html.escape(_example_json(code))}</pre>\n</html>\n"
    )


def render_index() -> str:
    """Return the index of all pages as Markdown."""
    rows = "\n".join(
        f"| {kind.status.value} | [`{code}`]({code}.md) | {kind.title} |"
        for code, kind in sorted(KINDS.items(), key=lambda item: (item[1].status, item[0]))
    )
    return (
        "# Problems\n\nEvery error is a problem document (RFC 9457). The service shows each of "
        f"these pages at `{problem.PAGES_PATH}/CODE`; the header `Link` of a problem leads to its "
        f"page.\n\n| status | code | title |\n|---|---|---|\n{rows}\n"
    )


def _example_json(code: str) -> str:
    example = example_problem(code)
    return adapter(Problem).dump_json(example, exclude_none=True, indent=2).decode()


def _inline_html(text: str) -> str:
    return re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))
