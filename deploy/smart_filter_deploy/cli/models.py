"""`smart-filter models`: which ones there are, and their weights."""

import json

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from smart_filter_client.models import Model
from smart_filter_deploy.cli.connection import connected
from smart_filter_deploy.cli.endings import ALL_SUCCEEDED, PHOTO_FAILED, needing
from smart_filter_deploy.cli.report import print_table
from smart_filter_shared.places import data_folder

_json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")


@click.group()
def models() -> None:
    """List the models; fetch and check their weights."""


@models.command("list")
@_json_option
def list_(*, as_json: bool) -> None:
    """List the models that the server offers."""
    with connected() as client:
        offered = client.models()
    if as_json:
        click.echo(json.dumps({"items": [model.document for model in offered]}))
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("task", "model", "version", "licence"):
        table.add_column(column, no_wrap=True)
    table.add_column("what it is")
    for model in offered:
        texts = (model.version, model.licence, model.title)
        table.add_row(Text(model.task), _name(model), *(Text(text) for text in texts))
    console = Console(highlight=False)
    print_table(console, table)
    console.print("[dim]*: what `auto` means[/]")


@models.command()
@_json_option
def pull(*, as_json: bool) -> None:
    """Fetch the weights that are missing, and check those that are there."""
    with needing("worker"):
        # The server's packages are not part of a bare install.
        from smart_filter_deploy.cli import weights  # noqa: PLC0415

    folder = data_folder() / "weights"
    fetched = weights.fetch(folder, lambda message: click.echo(message, err=True))
    if as_json:
        names = [file.name for file in fetched]
        click.echo(json.dumps({"folder": str(folder), "fetched": names}))
    elif fetched:
        click.echo(f"{len(fetched)} files fetched into {folder}")
    else:
        click.echo(f"all weights are in {folder}, each with its right digest")


@models.command()
@_json_option
@click.pass_context
def verify(ctx: click.Context, *, as_json: bool) -> None:
    """Check every file of weights by its digest; status 1 when one is missing or changed."""
    with needing("worker"):
        # The server's packages are not part of a bare install.
        from smart_filter_workers import weights  # noqa: PLC0415

    folder = data_folder() / "weights"
    files = [packed.file for package in weights.manifest() for packed in package.holds]
    faults = {file.name: weights.fault(folder, file) for file in files}
    wrong = {name: fault for name, fault in faults.items() if fault is not None}
    if as_json:
        entries = [
            {"name": file.name, "sha256": file.sha256, "fault": faults[file.name]} for file in files
        ]
        click.echo(json.dumps({"folder": str(folder), "ok": not wrong, "files": entries}))
    else:
        for name, fault in wrong.items():
            click.echo(f"{name} {fault}: {weights.REMEDY}")
        if not wrong:
            click.echo(f"{len(files)} files in {folder}, each with its right digest")
    ctx.exit(PHOTO_FAILED if wrong else ALL_SUCCEEDED)


def _name(model: Model) -> Text:
    return Text.assemble((model.name, "bold"), " *") if model.default else Text(model.name)
