"""Write an SBOM (CycloneDX) of packages and weights; `make sbom` runs this.

`distributed` lists what the images hold, from lock files and metadata; the library of CycloneDX
writes it down. Nothing is downloaded and no other process is started.
"""

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.contact import OrganizationalEntity
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from smart_filter_docs import distributed
from smart_filter_docs.distributed import ROOT, DistributedPackage, DistributedWeights

OUTPUT: Final = ROOT / "build/sbom.cdx.json"
SCHEMA_VERSION: Final = SchemaVersion.V1_6
_PREFIX: Final = "smart-filter"
_UNKNOWN_LICENSE: Final = "run make setup-dev, or name it in deploy/notices/licenses.toml"


def make_sbom() -> str:
    """Return the document as JSON text."""
    bom = Bom(
        components=[
            *(_package_component(package) for package in distributed.list_packages()),
            *(_weights_component(weights) for weights in distributed.list_weights()),
        ]
    )
    library = "cyclonedx-python-lib"
    bom.metadata.tools.components.add(
        Component(type=ComponentType.LIBRARY, name=library, version=version(library))
    )
    bom.metadata.component = Component(
        type=ComponentType.APPLICATION,
        name="smart-filter",
        version=version("smart-filter"),
        bom_ref="smart-filter",
        licenses=[LicenseFactory().make_from_string("Apache-2.0")],
    )
    bom.register_dependency(bom.metadata.component, bom.components)
    return make_outputter(bom, OutputFormat.JSON, SCHEMA_VERSION).output_as_string(indent=2)


def main() -> None:
    """Write the document; exit with one line when something that it needs is not there."""
    sys.stderr.write("Reading lock files, licenses and model cards …\n")
    try:
        text = make_sbom()
        OUTPUT.parent.mkdir(exist_ok=True)
        OUTPUT.write_text(text, encoding="utf-8")
    except PackageNotFoundError as error:
        sys.exit(f"sbom: the license of {error.name} is unknown: {_UNKNOWN_LICENSE}")
    except OSError as error:
        sys.exit(f"sbom: {error}")
    sys.stdout.write(f"{OUTPUT.relative_to(ROOT)}\n")


def _package_component(package: DistributedPackage) -> Component:
    purl = PackageURL("pypi", None, package.name, package.version)
    return Component(
        type=ComponentType.LIBRARY,
        name=package.name,
        version=package.version,
        purl=purl,
        bom_ref=str(purl),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in package.sha256],
        licenses=[LicenseFactory().make_from_string(package.license)],
        properties=[Property(name=f"{_PREFIX}:image", value=image) for image in package.images],
    )


def _weights_component(weights: DistributedWeights) -> Component:
    card = weights.only
    tasks = sorted({f"{card.task}/{card.name}" for card in weights.cards})
    facts = {
        "commercial": str(card.commercial),
        "data_terms": card.data_terms,
        "models": ", ".join(tasks),
        "origin": weights.origin or "trained for Smart Filter, in the images",
    }
    return Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=Path(weights.file.name).name,
        version=card.version,
        bom_ref=f"weights:{weights.file.name}",
        description=card.source,
        supplier=None if weights.origin else OrganizationalEntity(name="Smart Filter"),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=weights.file.sha256)],
        licenses=[LicenseFactory().make_from_string(card.license)],
        properties=[Property(name=f"{_PREFIX}:{name}", value=v) for name, v in facts.items()],
    )


if __name__ == "__main__":
    main()
