"""Additional weights files: download them from upstream, add the operator's own, list all."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from smart_filter_deploy.cli.terminal.exit_codes import WRONG_USAGE, CommandError, print_error
from smart_filter_deploy.cli.terminal.report import format_bytes
from smart_filter_deploy.cli.terminal.text import print_line
from smart_filter_shared.catalog.model_card import WeightsFile
from smart_filter_workers.models import admission, upstream
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


@dataclass(frozen=True, slots=True)
class FileDescription:
    """An operator's description of a weights file; "" means the default."""

    name: str
    kind: str
    like: str
    settings: tuple[str, ...]
    config: str
    classes: str
    licence: str
    data_terms: str


def pull(folder: Path, name: str, *, sha256: str, admit: bool, mirror: str) -> list[WeightsFile]:
    """Download an entry of the upstream manifest, after printing its terms.

    Raises SetupFailed.
    """
    entry = upstream.find(name)
    largest = max(file.most_bytes for file in entry.files)
    terms = f"license {entry.licence};  data: {entry.data_terms}"
    print_line(f"{name}: {entry.title}; {terms}; up to {format_bytes(largest)}", err=True)
    return upstream.pull(folder, entry, sha256=sha256, admit=admit, mirror=mirror)


def admit(folder: Path, source: Path, given: FileDescription) -> AdmittedFile:
    """Admit a weights file as it is described; return its list entry.

    Raises SetupFailed; ends the command when the description is incomplete.
    """
    like = upstream.find(given.like) if given.like else None
    kind = given.kind or (like.model if like else _KIND_OF_SUFFIX.get(source.suffix.lower(), ""))
    if not kind:
        known = ", ".join(_KIND_OF_SUFFIX)
        raise CommandError(
            f"{source.name}: name the model that reads it with --kind; known extensions: {known}",
            WRONG_USAGE,
        )
    admission.ensure_runs_here(kind)
    needs_config = kind in predictor_cache.KINDS - {predictor_cache.CONFIG_KIND}
    if needs_config and not given.config:
        raise CommandError("--config is missing: the configuration of these weights", WRONG_USAGE)
    digest = files.sha256_of(source)
    # A file with the digest of a known entry has that entry's terms.
    terms = like if like and digest in {one.sha256 for one in like.files} else given
    handling = {} if like is None or like.handling is None else like.handling.non_defaults
    listed = admission.admit_file(
        folder,
        source,
        AdmittedFile(
            name="",
            sha256=digest,
            kind=kind,
            config=given.config if needs_config else "",
            classes=tuple(one.strip() for one in given.classes.split(",") if one.strip()),
            entry=given.name or _NOT_IN_NAMES.sub("-", source.stem.lower()).strip("-._")[:64],
            handling={**handling, **_parse_handling(given.settings)},
            source=like.source if like and terms is like else f"admitted from {source.name}",
            licence=terms.licence,
            data_terms=terms.data_terms,
        ),
    )
    if kind == predictor_cache.CONFIG_KIND:
        address = listed.address
        print_error(f"no weights yet: add them with models admit FILE.pkl --config {address}")
    return listed


def list_expected(folder: Path) -> dict[WeightsFile, str]:
    """Return all files that the folder should hold, each with how to get it again."""
    expected = dict.fromkeys(packaged.list_files(), files.REMEDY)
    entries = upstream.read_manifest()
    for entry in entries.values():
        for file in entry.files:
            if file.place and (folder / file.place).is_file():
                remedy = f"run `smart-filter models pull {entry.full_name}`"
                expected[WeightsFile(file.place, file.sha256)] = remedy
    for one in allowlist.read(folder):
        expected[one.file] = "add it again with `smart-filter models admit`"
        known = entries.get(one.full_name)
        # A source URL means that the file was downloaded, perhaps from a mirror.
        if known is not None and "://" in one.source:
            digest = "" if known.is_pinned else f" --sha256 {one.sha256}"
            expected[one.file] = f"run `smart-filter models pull {known.full_name}{digest}`"
    return expected


def _parse_handling(texts: tuple[str, ...]) -> dict[str, object]:
    """Parse KEY=VALUE pairs; a value is parsed as TOML, else taken as a string."""
    handling: dict[str, object] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.isidentifier():
            raise CommandError(f"--set {text}: expected KEY=VALUE", WRONG_USAGE)
        try:
            handling[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            handling[key] = value
    return handling
