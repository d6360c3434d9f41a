"""Write docs/openapi.json, docs/problems and the tables of recipes: `make openapi`."""

import re
from collections.abc import Iterator
from typing import Any, Final

from smart_filter_api.problems import problem
from smart_filter_api.problems.catalog import PAGES
from smart_filter_api.schemas.recipe import Recipe
from smart_filter_docs.sources import CHECKOUT
from smart_filter_shared.catalog.scalars import as_text
from smart_filter_shared.recipe.declaration import FIRST_VERSION, Group, RecipeField
from smart_filter_shared.recipe.recipe import CHOOSABLE_TASKS, declared_fields
from smart_filter_tests.openapi_document import DOCS, OPENAPI, openapi, render_json

PAGE: Final = CHECKOUT / "docs" / "api" / "recipes.md"
_HEAD: Final = "| name | values, the default first | meaning |\n|---|---|---|\n"
_FORMER: Final = re.compile(r"\A(?:\|.*\n)*")


def main() -> None:
    """Write all three, and remove the pages of former problems."""
    OPENAPI.write_text(render_json(openapi()))
    PAGE.write_text(write_tables(PAGE.read_text()))
    folder = DOCS / "problems"
    folder.mkdir(exist_ok=True)
    for page in folder.glob("*.md"):
        page.unlink()
    for code in PAGES:
        (folder / f"{code}.md").write_text(problem.render_markdown(code))
    (folder / "README.md").write_text(_render_index())


def write_tables(page: str) -> str:
    """Return the page with the table of each group below its heading."""
    for group in Group:
        rows = "".join(_rows(group))
        before, heading, after = page.partition(f"\n## {group}\n\n")
        if not heading:
            raise ValueError(f"{PAGE} has no heading '## {group}'")
        page = before + heading + _HEAD + rows + _FORMER.sub("", after, count=1)
    return page


def _rows(group: Group) -> Iterator[str]:
    schema = Recipe.model_json_schema()
    for field in declared_fields().values():
        if field.group == group:
            name = f"{field.name}.model" if field.name in CHOOSABLE_TASKS else field.name
            values = _values(field, schema["properties"][field.name], schema["$defs"])
            yield f"| `{name}` | {values} | {_meaning(field)} |\n"


def _values(field: RecipeField, schema: Any, definitions: Any) -> str:  # noqa: ANN401 - JSON Schema
    """Return the default, and the other words or the range of a field."""
    usual = field.default_text.split(",")
    choices = schema.get("anyOf", [schema])
    choices += [choice["items"] for choice in choices if "items" in choice]
    choices = [definitions.get(kind.get("$ref", "")[8:], {}) | kind for kind in choices]
    words = [as_text(word) for kind in choices for word in kind.get("enum", _words_of(kind))]
    ranges = [
        f"{kind['minimum']} to {kind['maximum']} {field.declared.unit}".strip()
        for kind in choices
        if "maximum" in kind
    ]
    first = " ".join(f"`{word}`" for word in usual if word) or "absent"
    others = " ".join(f"`{word}`" for word in dict.fromkeys(words) if word not in usual)
    return " · ".join(filter(None, [first, others, *ranges]))


def _words_of(schema: Any) -> list[bool]:  # noqa: ANN401 - JSON Schema
    return [False, True] if schema.get("type") == "boolean" else []


def _meaning(field: RecipeField) -> str:
    declared = field.declared
    texts = [" ".join(text.split()) for text in declared.text.split("\n\n")]
    if declared.outputs:
        names = " or ".join(f"`{name}`" for name in sorted(declared.outputs))
        texts.append(f"Needs {names} in `outputs`")
    if declared.replaces:
        texts.append("Not with `background=keep`")
    if declared.since != FIRST_VERSION:
        texts.append(f"Since {declared.since}")
    return ". ".join(filter(None, texts)).replace("|", "\\|")


def _render_index() -> str:
    """Return the index of all pages as Markdown."""
    rows = "\n".join(
        f"| {kind.status.value} | [`{code}`]({code}.md) | {kind.title} |"
        for code, kind in sorted(problem.KINDS.items(), key=lambda item: (item[1].status, item[0]))
    )
    return (
        "# Problems\n\nEvery error is a problem document (RFC 9457). The service shows each of "
        f"these pages at `{problem.PAGES_PATH}/CODE`; the header `Link` of a problem leads to its "
        f"page.\n\n| status | code | title |\n|---|---|---|\n{rows}\n"
    )


if __name__ == "__main__":
    main()
