"""Additional weights files: downloads them from upstream, adds the user's own, verifies all."""

import re
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

from smart_filter_deploy.cli.terminal.exit_codes import WRONG_USAGE, CommandError, print_error
from smart_filter_deploy.cli.terminal.report import format_bytes
from smart_filter_deploy.cli.terminal.text import print_line
from smart_filter_shared.catalog.model_card import WeightsFile
from smart_filter_workers.models import admission, upstream
from smart_filter_workers.networks.detectron2 import admission as own_configs
from smart_filter_workers.networks.detectron2 import predictor_cache
from smart_filter_workers.weights import allowlist, packaged, untrusted_file
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


@dataclass(frozen=True, slots=True)
class FileDescription:
    """An operator's description of a weights file; "" means the default."""

    name: str
    kind: str
    like: str
    habits: tuple[str, ...]
    config: str
    classes: str
    licence: str
    data_terms: str


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """Task, model and entry by which a recipe names a weights file."""

    task: str
    model: str
    entry: str


def pull(folder: Path, name: str, *, sha256: str, admit: bool, mirror: str) -> list[WeightsFile]:
    """Download an entry of the upstream manifest, after printing its terms.

    Raises SetupFailed.
    """
    entry = upstream.find(name)
    largest = max(file.most_bytes for file in entry.files)
    terms = f"license {entry.licence};  data: {entry.data_terms}"
    print_line(f"{name}: {entry.title}; {terms}; up to {format_bytes(largest)}", err=True)
    return upstream.pull(folder, entry, sha256=sha256, admit=admit, mirror=mirror)


def admit(folder: Path, file: Path, told: FileDescription) -> ModelEntry:
    """Admit a weights file with its description; return the model and entry it became.

    Raises SetupFailed; ends the command when the description is incomplete.
    """
    like = upstream.find(told.like) if told.like else None
    kind = told.kind or (like.model if like else _KIND_OF_SUFFIX.get(file.suffix.lower(), ""))
    if not kind:
        known = ", ".join(_KIND_OF_SUFFIX)
        raise CommandError(
            f"{file.name}: name the model that reads it with --kind; known extensions: {known}",
            WRONG_USAGE,
        )
    classes = tuple(one.strip() for one in told.classes.split(",") if one.strip())
    if kind in {
        predictor_cache.CONFIG_KIND,
        predictor_cache.WEIGHTS_KIND,
        predictor_cache.FACES_KIND,
    }:
        admission.ensure_runs_here(
            predictor_cache.FACES_KIND
            if kind == predictor_cache.FACES_KIND
            else predictor_cache.WEIGHTS_KIND
        )
    if kind == predictor_cache.CONFIG_KIND:
        address = own_configs.admit_config(file, folder, names=classes)
        print_error(f"no weights yet: add them with models admit FILE.pkl --config {address}")
        return ModelEntry("segmentation", "detectron2", address)
    if kind in {predictor_cache.WEIGHTS_KIND, predictor_cache.FACES_KIND}:
        if not told.config:
            raise CommandError(
                "--config is missing: the configuration of these weights", WRONG_USAGE
            )
        admitted = own_configs.admit_weights(
            file, folder, config=told.config, names=classes, kind=kind
        )
        listed = replace(
            admitted,
            source=f"admitted from {file.name}",
            licence=told.licence,
            data_terms=told.data_terms,
        )
        allowlist.add(folder, listed)
        task = "face" if kind == predictor_cache.FACES_KIND else "segmentation"
        return ModelEntry(task, kind, told.config)
    digest = untrusted_file.sha256_of(file)
    # A file with the digest of a known entry has that entry's terms.
    its = like if like and digest in {one.sha256 for one in like.files} else None
    handling = {} if like is None or like.handling is None else like.handling.non_defaults
    listed = admission.admit_file(
        folder,
        file,
        AdmittedFile(
            name="",
            sha256=digest,
            kind=kind,
            entry=told.name or _NOT_IN_NAMES.sub("-", file.stem.lower()).strip("-._")[:64],
            handling={**handling, **_parse_handling(told.habits)},
            source=its.source if its else f"admitted from {file.name}",
            licence=its.licence if its else told.licence,
            data_terms=its.data_terms if its else told.data_terms,
        ),
    )
    return ModelEntry("segmentation", kind, listed.entry)


def list_expected(folder: Path) -> list[WeightsFile]:
    """Return all files that the folder should hold: default, downloaded and admitted ones."""
    placed = [
        WeightsFile(file.place, file.sha256)
        for entry in upstream.read_manifest().values()
        for file in entry.files
        if file.place and (folder / file.place).is_file()
    ]
    return [*packaged.list_files(), *placed, *(one.file for one in allowlist.read(folder))]


def find_remedies(folder: Path) -> dict[str, str]:
    """Return how to get each expected file again, by its name."""
    entries = upstream.read_manifest()
    remedies = {
        file.place: f"run `smart-filter models pull {entry.full_name}`"
        for entry in entries.values()
        for file in entry.files
    }
    for one in allowlist.read(folder):
        entry = entries.get(allowlist.full_name(one))
        remedies[one.name] = "add it again with `smart-filter models admit`"
        # A source URL means that the file was downloaded, perhaps from a mirror.
        if entry is not None and "://" in one.source:
            digest = "" if entry.is_pinned else f" --sha256 {one.sha256}"
            remedies[one.name] = f"run `smart-filter models pull {entry.full_name}{digest}`"
    return {file.name: remedies.get(file.name, packaged.REMEDY) for file in list_expected(folder)}


def _parse_handling(texts: tuple[str, ...]) -> dict[str, object]:
    """Parse KEY=VALUE pairs; a value is parsed as TOML, else taken as a string."""
    habits: dict[str, object] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.isidentifier():
            raise CommandError(f"--set {text}: expected KEY=VALUE", WRONG_USAGE)
        try:
            habits[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            habits[key] = value
    return habits
