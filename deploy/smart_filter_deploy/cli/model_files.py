"""Files of weights beside the default ones: fetched from upstream, let in, all of them checked."""

import re
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

from smart_filter_deploy.cli.endings import WRONG_USAGE, Ending, say
from smart_filter_deploy.cli.report import size
from smart_filter_deploy.cli.terminal import tell
from smart_filter_shared.cards import WeightsFile
from smart_filter_workers import admission, admitted, foreign_file, upstream, weights
from smart_filter_workers.admitted import Admitted
from smart_filter_workers.networks.detectron2 import admission as own_configs
from smart_filter_workers.networks.detectron2 import shelf

_KINDS = {
    ".onnx": "onnx",
    ".keras": "unet",
    ".pkl": shelf.WEIGHTS,
    ".npz": shelf.WEIGHTS,
    ".yaml": shelf.CONFIG,
    ".yml": shelf.CONFIG,
}
_NO_NAME = re.compile(r"[^a-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Told:
    """What an operator tells of a file; "" where they leave it to us."""

    name: str
    kind: str
    like: str
    habits: tuple[str, ...]
    config: str
    classes: str
    licence: str
    data_terms: str


@dataclass(frozen=True, slots=True)
class Place:
    """By what a recipe asks for a file: a model of a task, and its entry."""

    task: str
    model: str
    entry: str


def pull(folder: Path, name: str, *, sha256: str, admit: bool, mirror: str) -> list[WeightsFile]:
    """Fetch an entry of the upstream manifest, and say what its terms are.

    Raises SetupFailed.
    """
    entry = upstream.find(name)
    largest = max(file.most_bytes for file in entry.files)
    terms = f"licence {entry.licence}; data: {entry.data_terms}"
    tell(f"{name}: {entry.title}; {terms}; up to {size(largest)}", err=True)
    return upstream.pull(folder, entry, sha256=sha256, admit=admit, mirror=mirror)


def admit(folder: Path, file: Path, told: Told) -> Place:
    """Let a file in as it was told; return by what it is asked for.

    Raises SetupFailed; ends the command when what was told does not go together.
    """
    like = upstream.find(told.like) if told.like else None
    kind = told.kind or (like.model if like else _KINDS.get(file.suffix.lower(), ""))
    if not kind:
        known = ", ".join(_KINDS)
        raise Ending(
            f"{file.name}: --kind tells which model reads it; known are {known}", WRONG_USAGE
        )
    classes = tuple(one.strip() for one in told.classes.split(",") if one.strip())
    if kind in {shelf.CONFIG, shelf.WEIGHTS, shelf.FACES}:
        admission.ensure_runs_here(shelf.FACES if kind == shelf.FACES else shelf.WEIGHTS)
    if kind == shelf.CONFIG:
        address = own_configs.admit_config(file, folder, names=classes)
        say(f"it has no weights yet: models admit FILE.pkl --config {address}")
        return Place("segmentation", "detectron2", address)
    if kind in {shelf.WEIGHTS, shelf.FACES}:
        if not told.config:
            raise Ending("--config names the configuration whose weights they are", WRONG_USAGE)
        let_in = own_configs.admit_weights(
            file, folder, config=told.config, names=classes, kind=kind
        )
        listed = replace(
            let_in,
            source=f"admitted from {file.name}",
            licence=told.licence,
            data_terms=told.data_terms,
        )
        admitted.add(folder, listed)
        task = "face" if kind == shelf.FACES else "segmentation"
        return Place(task, kind, told.config)
    digest = foreign_file.sha256_of(file)
    # The very file that an entry means has that entry's terms.
    its = like if like and digest in {one.sha256 for one in like.files} else None
    handling = {} if like is None or like.handling is None else like.handling.told
    listed = admission.let_in(
        folder,
        file,
        Admitted(
            name="",
            sha256=digest,
            kind=kind,
            entry=told.name or _NO_NAME.sub("-", file.stem.lower()).strip("-._")[:64],
            handling={**handling, **_habits(told.habits)},
            source=its.source if its else f"admitted from {file.name}",
            licence=its.licence if its else told.licence,
            data_terms=its.data_terms if its else told.data_terms,
        ),
    )
    return Place("segmentation", kind, listed.entry)


def expected(folder: Path) -> list[WeightsFile]:
    """Return every file that the folder should hold: the defaults', those let in or fetched."""
    placed = [
        WeightsFile(file.place, file.sha256)
        for entry in upstream.manifest().values()
        for file in entry.files
        if file.place and (folder / file.place).is_file()
    ]
    return [*weights.brought(), *placed, *(one.file for one in admitted.read(folder))]


def remedies(folder: Path) -> dict[str, str]:
    """Return how to come by each expected file again, by its name."""
    entries = upstream.manifest()
    told = {
        file.place: f"run `smart-filter models pull {entry.full_name}`"
        for entry in entries.values()
        for file in entry.files
    }
    for one in admitted.read(folder):
        entry = entries.get(admitted.called(one))
        told[one.name] = "let it in again with `smart-filter models admit`"
        # What was pulled, perhaps from a mirror, came from an address.
        if entry is not None and "://" in one.source:
            digest = "" if entry.is_pinned else f" --sha256 {one.sha256}"
            told[one.name] = f"run `smart-filter models pull {entry.full_name}{digest}`"
    return {file.name: told.get(file.name, weights.REMEDY) for file in expected(folder)}


def _habits(texts: tuple[str, ...]) -> dict[str, object]:
    """Read KEY=VALUE pairs; a value is what it would be in TOML, else a word."""
    habits: dict[str, object] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.isidentifier():
            raise Ending(f"--set {text}: expected KEY=VALUE", WRONG_USAGE)
        try:
            habits[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            habits[key] = value
    return habits
