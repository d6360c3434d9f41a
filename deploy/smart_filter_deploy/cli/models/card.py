"""Prints a model's card: source, license, requirements, quality and speed."""

from collections.abc import Iterator, Mapping
from typing import cast

from rich.console import Console
from rich.table import Table
from rich.text import Text

from smart_filter_client.models import Model
from smart_filter_deploy.cli.terminal.console import print_table


def print_card(console: Console, model: Model) -> None:
    """Print a model's card and its parameters."""
    document = model.document
    console.print(Text.assemble((model.name, "bold"), f"  {model.title}"), soft_wrap=True)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    lines = {
        "task": model.task + (" (the default, `auto`)" if model.default else ""),
        "version": model.version,
        "license": model.licence,
        "source": document.get("source"),
        "data": document.get("data_terms"),
        "weights": document.get("digest"),
        "quality": _figures(document.get("quality")),
        "speed": _figures(document.get("speed")),
        "runs on": _join_words(document.get("devices")),
        "needs": _needs(document.get("needs")),
        "not offered": None if model.offered else (model.fault or "by no worker"),
        "setup failed": model.fault if model.offered else None,
    }
    for label, value in lines.items():
        if value:
            table.add_row(f"  {label}", Text(str(value)))
    for version in _versions(document.get("versions")):
        table.add_row("  trained", Text(version))
    for name, schema in _parameters(document.get("parameters")).items():
        table.add_row(f"  {model.task}.params.{name}", Text(_parameter(schema)))
    print_table(console, table)


def _versions(versions: object) -> Iterator[str]:
    """Yield one line per version of trained weights."""
    for one in versions if isinstance(versions, list) else []:
        on = f"data set {one['data_set']}" if one.get("data_set") else one.get("trained_on", "")
        deletions = one.get("deletions")
        before = f", trained before {deletions} of its photos were deleted" if deletions else ""
        yield f"{one.get('digest')}: {one.get('state')}, on {on or 'unknown data'}{before}"


def _parameters(schema: object) -> Mapping[str, Mapping[str, object]]:
    if not isinstance(schema, Mapping):
        return {}
    return cast("Mapping[str, Mapping[str, object]]", schema.get("properties", {}))


def _parameter(schema: Mapping[str, object]) -> str:
    least, most, choices = (schema.get(name) for name in ("minimum", "maximum", "enum"))
    allowed = f", {least} to {most}" if most is not None else ""
    if isinstance(choices, list):
        allowed = f", one of {', '.join(str(one) for one in choices)}"
    return f"{schema.get('title', '')} ({schema.get('default')}{allowed})"


def _needs(needs: object) -> str:
    if not isinstance(needs, Mapping) or not needs.get("packages"):
        return ""
    return f"{_join_words(needs['packages'])} (smart-filter[{needs.get('extra')}])"


def _figures(figures: object) -> str:
    if not isinstance(figures, Mapping):
        return ""
    return ", ".join(f"{name} {value:g}" for name, value in figures.items())


def _join_words(words: object) -> str:
    return ", ".join(str(one) for one in words) if isinstance(words, list) else ""
