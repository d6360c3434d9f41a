"""`smart-filter models list` and `show`: the models of the server."""

from collections.abc import Mapping

import click
from rich.table import Table
from rich.text import Text

from smart_filter_client.models import Model
from smart_filter_deploy.cli.commands import completion_values
from smart_filter_deploy.cli.commands.options import json_option
from smart_filter_deploy.cli.server.connection import open_client
from smart_filter_deploy.cli.terminal.console import EscapingConsole, print_columns, print_table
from smart_filter_deploy.cli.terminal.exit_codes import CommandError
from smart_filter_deploy.cli.terminal.text import examples, print_json
from smart_filter_wire.catalog import ModelRequirements, ModelVersion


@click.command(
    "list",
    epilog=examples(
        "smart-filter models list",
        "smart-filter models list --all --json | jq -r '.items[].name'",
    ),
)
@click.option(
    "--all", "every", is_flag=True, help="Include models that no worker can run, with the reason."
)
@json_option
def list_(*, every: bool, as_json: bool) -> None:
    """List the models of the server, by its own settings."""
    with open_client() as client:
        models = client.models(every=every)
    if as_json:
        print_json({"items": [model.document for model in models]})
        return
    columns = ("task", "model", "version", "license", "commercial", "title or fault")
    print_columns(columns, map(_table_row, models), wrapped=columns[-1:])
    whose = f"models of the server {client.url}, by its own settings"
    about = f"{whose}; *: the default (`auto`); see `models show NAME`"
    EscapingConsole(highlight=False).print(Text(about, style="dim"), soft_wrap=True)


@click.command(
    short_help="Show a model card.",
    epilog=examples("smart-filter models show people"),
)
@click.argument("name", shell_complete=completion_values.complete_model_names)
@json_option
def show(name: str, *, as_json: bool) -> None:
    """Show the cards of all models with this name."""
    with open_client() as client:
        models = client.models(every=True)
    named_models = [model for model in models if model.name == name]
    if not named_models:
        names = ", ".join(sorted({model.name for model in models}))
        raise CommandError(f"there is no model {name!r}; there are {names}")
    if as_json:
        print_json({"items": [model.document for model in named_models]})
        return
    for model in named_models:
        _print_card(EscapingConsole(highlight=False), model)


def _table_row(model: Model) -> tuple[Text | str, ...]:
    title = Text(model.title) if model.fault is None else Text(model.fault, style="yellow")
    return (
        *(model.task, _full_name(model), model.version, model.license, model.commercial),
        title,
    )


def _full_name(model: Model) -> Text:
    return Text.assemble((model.name, "bold"), " *") if model.default else Text(model.name)


def _print_card(console: EscapingConsole, model: Model) -> None:
    """Print a model's card and its parameters."""
    console.print(Text.assemble((model.name, "bold"), f"  {model.title}"), soft_wrap=True)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    lines = {
        "task": model.task + (" (the default, `auto`)" if model.default else ""),
        "version": model.version,
        "license": model.license,
        "commercial": model.commercial,
        "source": model.source,
        "data": model.data_terms,
        "weights": model.digest,
        "quality": _format_figures(model.quality),
        "speed": _format_figures(model.speed),
        "runs on": ", ".join(model.devices),
        "needs": _describe_needs(model.needs),
        "not offered": None if model.offered else (model.fault or "by no worker"),
        "setup failed": model.fault if model.offered else None,
    }
    for label, value in lines.items():
        if value:
            table.add_row(f"  {label}", Text(str(value)))
    for version in map(_describe_version, model.versions):
        table.add_row("  trained", Text(version))
    for name, schema in model.parameters.get("properties", {}).items():
        table.add_row(f"  {model.task}.params.{name}", Text(_describe_parameter(schema)))
    print_table(console, table)


def _describe_version(version: ModelVersion) -> str:
    on = f"data set {version.data_set}" if version.data_set else version.trained_on
    deletions = version.deletions
    before = f", trained before {deletions} of its photos were deleted" if deletions else ""
    return f"{version.digest}: {version.state}, on {on or 'unknown data'}{before}"


def _describe_parameter(schema: Mapping[str, object]) -> str:
    least, most, choices = (schema.get(name) for name in ("minimum", "maximum", "enum"))
    allowed = f", {least} to {most}" if most is not None else ""
    if isinstance(choices, list):
        allowed = f", one of {', '.join(str(choice) for choice in choices)}"
    return f"{schema.get('title', '')} ({schema.get('default')}{allowed})"


def _describe_needs(needs: ModelRequirements) -> str:
    if not needs.packages:
        return ""
    extra = f" (smart-filter[{needs.extra}])" if needs.extra else ""
    return ", ".join(needs.packages) + extra


def _format_figures(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in figures.items())
