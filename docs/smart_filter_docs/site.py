"""Gather the pages in build/docs, and build them into build/site with Zensical."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final

from smart_filter_docs import built, links, reference
from smart_filter_docs.sources import CHECKOUT, site_places

BUILD: Final = CHECKOUT / "build"
SITE: Final = BUILD / "site"
_PAGES: Final = BUILD / "docs"
_CONFIGURATION: Final = "docs/zensical.toml"


def build() -> int:
    """Build the site; return 0, or 1 with one line on standard error for each fault."""
    try:
        gather()
    except links.DeadLink as error:
        _print_fault(str(error))
        return 1
    shutil.rmtree(SITE, ignore_errors=True)
    finished = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--clean", "--strict"], cwd=BUILD, check=False
    )
    if finished.returncode:
        return 1
    faults = built.faults(SITE)
    for fault in faults:
        _print_fault(fault)
    return 1 if faults else 0


def _print_fault(fault: str) -> None:
    sys.stderr.write(f"docs: {fault}\n")


def gather() -> None:
    """Write all files that Zensical reads to build/docs.  Raises DeadLink."""
    places = site_places()
    generated = reference.pages()
    pages = {
        path: (CHECKOUT / path).read_text()
        for path in places
        if PurePosixPath(path).suffix == ".md"
    }
    titles = {path: links.title(text) for path, text in pages.items()}
    shutil.rmtree(_PAGES, ignore_errors=True)
    for path, place in places.items():
        target = _PAGES / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if path not in pages:
            shutil.copyfile(CHECKOUT / path, target)
    places = {**places, **_generated_places(generated)}
    for path, text in {
        **pages,
        **{f"docs/{name}": text for name, text in generated.items()},
    }.items():
        target = _PAGES / places[path]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(links.rewritten(text, path, places=places, titles=titles))
    shutil.copyfile(CHECKOUT / _CONFIGURATION, BUILD / "zensical.toml")


def _generated_places(generated: Mapping[str, str]) -> dict[str, PurePosixPath]:
    """Return the places of generated pages, keyed as if they were written under docs/."""
    return {f"docs/{name}": PurePosixPath(name) for name in generated}
