"""The upstream manifest: weights that are not in a package, and how to fetch one of them."""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files as resources
from pathlib import Path
from typing import Any, Final

from smart_filter_shared.cards import WeightsFile
from smart_filter_shared.errors import SetupFailed
from smart_filter_workers import admission, admitted, downloads, weights
from smart_filter_workers.admitted import Admitted
from smart_filter_workers.networks import handling
from smart_filter_workers.networks.detectron2 import admission as zoo_admission
from smart_filter_workers.networks.detectron2 import zoo
from smart_filter_workers.networks.handling import Handling

# Source: detectron2's catalogue of checkpoints, model_zoo/model_zoo.py.
ZOO_ADDRESS: Final = "https://dl.fbaipublicfiles.com/detectron2"
ZOO_LICENCE: Final = "CC-BY-SA-3.0"
ZOO_MODEL: Final = "detectron2"
# The zoo's largest file is 1.1 GB.
ZOO_MOST_BYTES: Final = 1_500_000_000

# Told what is fetched, how many bytes of it have come, and the most there may be.
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Remote:
    """One file of an entry.

    sha256: its digest, "" when nobody knows it; most_bytes: its size, or a bound of it.
    place: where it lies below the weights folder; "" for a place that its digest gives.
    """

    address: str
    sha256: str
    most_bytes: int
    place: str = ""


@dataclass(frozen=True, slots=True)
class Upstream:
    """Weights of one model.

    model: who reads them; name: the entry by which a recipe chooses them, "" when there is
        nothing to choose.
    licence: an SPDX expression; data_terms: of the data that made them.
    note: how to come by them when they have no address.
    """

    model: str
    name: str
    title: str
    source: str
    licence: str
    data_terms: str
    files: tuple[Remote, ...]
    handling: Handling | None = None
    note: str = ""

    @property
    def full_name(self) -> str:
        """What `models pull` calls it."""
        return f"{self.model}/{self.name}" if self.name else self.model

    @property
    def is_pinned(self) -> bool:
        """Whether the digest of every file is known."""
        return all(file.sha256 for file in self.files)


def manifest() -> dict[str, Upstream]:
    """Return every entry by its full name: those of `upstream.toml`, then detectron2's zoo."""
    text = resources("smart_filter_workers").joinpath("upstream.toml").read_text(encoding="utf-8")
    listed = [_entry(told) for told in tomllib.loads(text)["entry"]]
    of_zoo = [_of_zoo(config) for config in zoo.configs().values() if config.checkpoint]
    return {entry.full_name: entry for entry in [*listed, *of_zoo]}


def find(name: str) -> Upstream:
    """Return an entry by its full name.  Raises SetupFailed when there is none."""
    entries = manifest()
    if name not in entries:
        listed = ", ".join(one for one in entries if not one.startswith("detectron2/"))
        raise SetupFailed(
            f"{name!r} is no entry of the manifest; there are {listed},"
            " and detectron2/CONFIGURATION of its zoo"
        )
    return entries[name]


def pull(
    folder: Path,
    entry: Upstream,
    *,
    sha256: str = "",
    admit: bool = False,
    mirror: str = "",
    permits: downloads.Permits = downloads.is_https,
    tell: Tell = lambda *_: None,
) -> list[WeightsFile]:
    """Fetch an entry's files into the weights folder; return those that were fetched.

    sha256: the digest that its file must have when the manifest does not know it.
    admit: whether a file of unknown digest is taken as it comes, its digest pinned from then.
    mirror: where to fetch from instead, see `mirrored`.
    Raises SetupFailed when a file cannot be had, has another digest, or does not run.
    """
    if not all(file.address for file in entry.files):
        raise SetupFailed(f"{entry.full_name} is offered nowhere as a file: {entry.note}")
    if not (entry.is_pinned or sha256 or admit):
        raise SetupFailed(
            f"nobody has published the SHA-256 of {entry.full_name}: give it with --sha256,"
            f" or take {entry.files[0].address} as it comes with --admit"
        )
    admission.ensure_runs_here(entry.model)  # before a gigabyte is fetched
    folder.mkdir(parents=True, exist_ok=True)
    files = [replace(file, address=mirrored(file.address, mirror)) for file in entry.files]
    fetched = (
        _fetched(folder, entry, file, sha256=sha256, permits=permits, tell=tell) for file in files
    )
    return [file for file in fetched if file is not None]


def mirrored(address: str, mirror: str) -> str:
    """Return where a mirror has what an address has: below the address's host and path.

    mirror: a URL such as `https://mirror.example/weights`; "" for none.
    """
    return f"{mirror.rstrip('/')}/{address.partition('://')[2]}" if mirror else address


def _fetched(
    folder: Path,
    entry: Upstream,
    file: Remote,
    *,
    sha256: str,
    permits: downloads.Permits,
    tell: Tell,
) -> WeightsFile | None:
    """Fetch one file, check it and put it into its place; None when it was there."""
    wanted = file.sha256 or sha256.lower()
    if _is_there(folder, entry, file, wanted):
        return None
    with weights.scratch_folder(folder, "pull") as scratch:
        partial_file = scratch / "partial"
        digest = downloads.fetch(
            file.address,
            partial_file,
            most_bytes=file.most_bytes,
            permits=permits,
            tell=lambda come: tell(entry.full_name, come, file.most_bytes),
        )
        if wanted and digest != wanted:
            raise SetupFailed(
                f"{file.address} has the SHA-256 {digest}, expected {wanted}: do not use it"
            )
        if not entry.name:
            weights.put(partial_file, folder / file.place)
            return WeightsFile(file.place, digest)
        listed = _admitted(entry, file, digest)
        if entry.model != ZOO_MODEL:
            return admission.let_in(folder, partial_file, listed).file
        let_in = zoo_admission.admit_weights(partial_file, folder, config=entry.name)
        told = replace(
            let_in,
            source=listed.source,
            licence=listed.licence,
            data_terms=listed.data_terms,
        )
        admitted.add(folder, told)
        return let_in.file


def _is_there(folder: Path, entry: Upstream, file: Remote, digest: str) -> bool:
    if not entry.name:
        return weights.fault(folder, WeightsFile(file.place, digest)) is None
    listed = [one for one in admitted.read(folder) if one.kind == entry.model]
    named = [one for one in listed if entry.name in {one.entry, one.config}]
    # A file of unknown digest that was let in once stays what it is.
    return any(
        one.sha256 == (digest or one.sha256) and weights.fault(folder, one.file) is None
        for one in named
    )


def _admitted(entry: Upstream, file: Remote, digest: str) -> Admitted:
    return Admitted(
        name=file.place,
        sha256=digest,
        kind=entry.model,
        entry=entry.name,
        handling={} if entry.handling is None else entry.handling.told,
        source=file.address,
        licence=entry.licence,
        data_terms=entry.data_terms,
    )


# Any: TOML holds any type; Remote and Upstream are what is trusted from here on.
def _entry(told: Mapping[str, Any]) -> Upstream:
    habits = told.get("handling")
    return Upstream(
        model=told["model"],
        name=told["name"],
        title=told["title"],
        source=told["source"],
        licence=told["licence"],
        data_terms=told["data_terms"],
        files=tuple(
            Remote(file["address"], file["sha256"], file["bytes"], file.get("place", ""))
            for file in told["file"]
        ),
        handling=None if habits is None else handling.read(habits),
        note=told.get("note", ""),
    )


def _of_zoo(config: zoo.ZooConfig) -> Upstream:
    return Upstream(
        model=ZOO_MODEL,
        name=config.name,
        title=f"detectron2's {config.name.rpartition('/')[2]}: {config.makes}",
        source="github.com/facebookresearch/detectron2, MODEL_ZOO.md",
        licence=ZOO_LICENCE,
        data_terms="the data set's own, as its name says",
        files=(
            Remote(
                f"{ZOO_ADDRESS}/{config.name}/{config.checkpoint}",
                sha256="",
                most_bytes=ZOO_MOST_BYTES,
            ),
        ),
    )
