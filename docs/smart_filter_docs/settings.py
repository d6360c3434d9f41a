"""Update the defaults in docs/settings.md from the classes that read the environment.

The meaning of a variable is written there by hand. Its default is a fact of the code: `update`
writes it, and a test compares.
"""

import re
from collections.abc import Iterator
from typing import Final, get_type_hints

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from smart_filter_docs.sources import CHECKOUT
from smart_filter_shared.config.settings import Settings

PAGE: Final = CHECKOUT / "docs" / "settings.md"
_ROW: Final = re.compile(r"^\| (SMART_FILTER_[A-Z0-9_, ]+) \| ([^|]*) \| (.*) \|$", re.MULTILINE)
_NOTHING: Final = "–"


class Undescribed(ValueError):
    """The page lacks variables that the code reads."""


def update() -> None:
    """Write the defaults of the code into the page.  Raises Undescribed."""
    PAGE.write_text(page(PAGE.read_text()))


def page(text: str) -> str:
    """Return the page with the defaults of the code.

    A default that depends on something else (`–; …`, or words) stays as it is.
    Raises Undescribed with every variable that has no row.
    """
    variables = dict(_variables())
    described: set[str] = set()

    def row(match: re.Match[str]) -> str:
        names = [name.strip() for name in match[1].split(",")]
        described.update(names)
        defaults = [variables[name] for name in names if name in variables]
        if not defaults or set(defaults) == {_NOTHING}:
            return match[0]
        return f"| {match[1]} | {', '.join(dict.fromkeys(defaults))} | {match[3]} |"

    updated = _ROW.sub(row, text)
    missing = sorted(set(variables) - described)
    if missing:
        raise Undescribed(f"docs/settings.md has no row for {', '.join(missing)}")
    return updated


def _variables() -> Iterator[tuple[str, str]]:
    """Yield each variable with its default as text."""
    for kind in get_type_hints(Settings).values():
        if isinstance(kind, type) and issubclass(kind, BaseSettings):
            prefix = str(kind.model_config.get("env_prefix", ""))
            for name, info in kind.model_fields.items():
                yield (f"{prefix}{name}".upper(), _shown(info))


def _shown(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.default
    if value is None or value == ():
        return _NOTHING
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"`{value}`"
    return f"{value:g}" if isinstance(value, float) else str(value)
