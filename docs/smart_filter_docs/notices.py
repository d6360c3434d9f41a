"""Write the NOTICE files of the images; `make notices` runs this."""

from collections.abc import Iterator
from typing import Final

from smart_filter_docs import distributed
from smart_filter_docs.distributed import IMAGES, ROOT

FOLDER: Final = ROOT / "deploy/notices"


def render_notice(image: str) -> str:
    """Return the text of the NOTICE file of an image."""
    return "\n".join(_lines(image)) + "\n"


def _lines(image: str) -> Iterator[str]:
    yield "Smart Filter"
    yield f"Image: {image}"
    yield ""
    yield "The program is licensed under Apache-2.0; LICENSE is next to this file."
    yield ""
    yield "Packages"
    yield "--------"
    yield "The license files of each package are in its folder *.dist-info below"
    yield "/opt/smart-filter/lib. Packages of the distribution: /usr/share/doc/*/copyright."
    yield ""
    for package in distributed.list_packages():
        if image in package.images:
            yield f"{package.name} {package.version}: {package.license}"
    yield ""
    yield "Fonts and scripts"
    yield "-----------------"
    for path in distributed.list_vendored():
        yield ""
        yield f"{path.name.removesuffix('.LICENSE.txt')}:"
        yield path.read_text(encoding="utf-8").strip()
    yield ""
    yield "Weights that come with Smart Filter, in this image"
    yield "--------------------------------------------------"
    for weights in distributed.list_weights():
        if not weights.origin:
            card = weights.only
            yield ""
            yield f"{weights.file.name} (SHA-256 {weights.file.sha256})"
            yield f"  license: {card.license}"
            yield f"  data: {card.data_terms}"
            yield f"  commercial use: {card.commercial}"


def main() -> None:
    """Write the files."""
    for image in IMAGES:
        (FOLDER / f"NOTICE.{image}").write_text(render_notice(image), encoding="utf-8")


if __name__ == "__main__":
    main()
