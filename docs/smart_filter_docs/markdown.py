"""Write Markdown for the pages made from code."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Final

_CODE: Final = re.compile(r"(`[^`]*`)")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, or an empty text when there are no rows."""
    lines = [_row(cells) for cells in rows]
    if not lines:
        return ""
    return "\n".join([_row(heads), _row(["---"] * len(heads)), *lines, ""])


def code(text: object) -> str:
    """Return a text as inline code."""
    return f"`{text}`" if str(text) else ""


def block(text: str, language: str = "") -> str:
    """Return a block of code."""
    return f"```{language}\n{text.rstrip()}\n```\n"


def folded(title: str, inside: str) -> str:
    """Return a collapsed block that shows its content when a reader opens it."""
    lines = "\n".join(f"    {line}".rstrip() for line in inside.rstrip().splitlines())
    return f'??? example "{title}"\n\n{lines}\n'


def as_json(value: object) -> str:
    """Return a block of JSON."""
    return block(json.dumps(value, indent=2, ensure_ascii=False), "json")


def sections(*parts: str) -> str:
    """Return the parts that are not empty, each as a separate paragraph."""
    return "\n\n".join(part.strip("\n") for part in parts if part.strip()) + "\n"


def sentence(text: str) -> str:
    """Return a text that begins with a capital and ends with a full stop."""
    text = text.strip()
    if not text:
        return ""
    ends = "" if text[-1] in ".!?:" else "."
    return f"{text[0].upper()}{text[1:]}{ends}"


def plain(text: str) -> str:
    """Return a text with `<` and `|` escaped outside of code."""
    return "".join(
        part if part.startswith("`") else part.replace("<", "&lt;").replace("|", "&#124;")
        for part in _CODE.split(text)
    )


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(plain(' '.join(cell.split())) for cell in cells)} |"
