"""What the images distribute: packages, with their licenses, and weights of models."""

import importlib.metadata
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from smart_filter_shared.catalog.model_card import Commercial, ModelCard, WeightsFile
from smart_filter_workers.models import catalog
from smart_filter_workers.weights import packaged

ROOT: Final = Path(__file__).parents[2]
IMAGES: Final = ("api", "worker-cpu", "worker-cpu-torch", "worker-gpu")
# Licenses of packages that the environment of this checkout does not have.
LICENSES: Final = ROOT / "deploy/notices/licenses.toml"
# A pin of a lock file: name, version, marker, and the digests of the files that may be installed.
_PIN: Final = re.compile(
    r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)( ;[^\\\n]*)?((?:\s*\\\n\s+--hash=sha256:\w+)*)",
    re.MULTILINE,
)
_DIGEST: Final = re.compile(r"sha256:(\w+)")
_DETECTRON2: Final = re.compile(r"git\+https://\S+/(detectron2)@([0-9a-f]{40})")
# Names of a license as classifiers and the field License have them.
_SPDX: Final = {
    "Apache Software License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}


@dataclass(frozen=True, slots=True, order=True)
class DistributedPackage:
    """A package in images.

    license: an SPDX expression, or the package's own words; sha256: digests of its files, in hex,
    as lock files pin them.
    """

    name: str
    version: str
    license: str
    images: tuple[str, ...]
    sha256: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DistributedWeights:
    """A file of weights, and the cards of the models that read it.

    origin: the package that holds it; "" for a file that comes with smart-filter.
    """

    file: WeightsFile
    origin: str
    cards: tuple[ModelCard, ...]

    @property
    def only(self) -> ModelCard:
        """The card that says most about the file itself.

        Other files of a model, and numbers in its code, can have stricter terms than this file. So
        it is the card with the most lenient answer, and of these the one with the fewest files.
        """
        lenient = list(Commercial)
        return min(
            self.cards,
            key=lambda card: (lenient.index(card.commercial), len(card.weights), card.name),
        )


def list_packages() -> list[DistributedPackage]:
    """Return the packages of all images, ordered by name."""
    images: dict[tuple[str, str], list[str]] = defaultdict(list)
    digests: dict[tuple[str, str], set[str]] = defaultdict(set)
    for image in IMAGES:
        for name, version, sha256 in _pins(image):
            images[name, version].append(image)
            digests[name, version].update(sha256)
    stated = tomllib.loads(LICENSES.read_text(encoding="utf-8"))
    return sorted(
        DistributedPackage(
            name,
            version,
            stated.get(name) or read_license(name),
            tuple(images_with),
            tuple(sorted(digests[name, version])),
        )
        for (name, version), images_with in images.items()
    )


def list_weights() -> list[DistributedWeights]:
    """Return the weights that `models pull` installs, ordered by name."""
    origins = {
        packed.file: f"{package.name} {package.version}"
        for package in packaged.read_manifest()
        for packed in package.holds
    }
    cards = catalog.discover_models().cards
    return sorted(
        (
            DistributedWeights(
                file,
                origins.get(file, ""),
                tuple(card for card in cards if file in card.weights),
            )
            for file in packaged.list_files()
        ),
        key=lambda weights: weights.file.name,
    )


def list_vendored() -> list[Path]:
    """Return the license files of fonts and scripts that are part of our own packages."""
    return sorted(
        path for part in ("api", "workers") for path in (ROOT / part).rglob("*.LICENSE.txt")
    )


def _pins(image: str) -> Iterator[tuple[str, str, list[str]]]:
    """Yield name, version and digests of each package of an image, also of optional detectron2.

    detectron2 has no digest.
    """
    text = (ROOT / f"requirements/{image}.lock").read_text(encoding="utf-8")
    if image == "worker-cpu-torch":
        text += (ROOT / "requirements/torch.lock").read_text(encoding="utf-8")
    for name, version, marker, hashes in _PIN.findall(text):
        if "sys_platform == 'win32'" not in marker and "version >=" not in marker:
            yield name.lower(), version, _DIGEST.findall(hashes)
    if image in {"worker-cpu-torch", "worker-gpu"}:
        pins = _DETECTRON2.findall((ROOT / "docs/detectron2.md").read_text(encoding="utf-8"))
        yield from ((name, version, []) for name, version in pins)


def read_license(name: str) -> str:
    """Return the license of an installed package: SPDX expression, or the package's own words.

    Raises PackageNotFoundError when it is not installed.
    """
    metadata = importlib.metadata.metadata(name)
    for expression in metadata.get_all("License-Expression") or ():
        return str(expression)
    licenses = [
        line.rpartition(" :: ")[2]
        for line in metadata.get_all("Classifier") or ()
        if line.startswith("License :: ") and not line.endswith("OSI Approved")
    ]
    stated = metadata.get_all("License") or ["see its files"]
    words = licenses or [stated[0].partition("\n")[0].strip()]
    return " AND ".join(sorted({_SPDX.get(name, name) for name in words}))
