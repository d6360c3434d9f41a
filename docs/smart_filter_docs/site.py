"""Gathers the pages in build/docs, and has Zensical build them into build/site."""

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
    """Build the site; return 0, or 1 after one line on standard error for each fault."""
    try:
        gather()
    except links.DeadLink as error:
        _tell(str(error))
        return 1
    shutil.rmtree(SITE, ignore_errors=True)
    ended = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--clean", "--strict"], cwd=BUILD, check=False
    )
    if ended.returncode:
        return 1
    faults = built.faults(SITE)
    for fault in faults:
        _tell(fault)
    return 1 if faults else 0


def _tell(fault: str) -> None:
    sys.stderr.write(f"docs: {fault}\n")


def gather() -> None:
    """Bring together what Zensical reads.  Raises DeadLink."""
    places = site_places()
    made = reference.pages()
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
    places = {**places, **_as_written(made)}
    for path, text in {**pages, **{f"docs/{name}": text for name, text in made.items()}}.items():
        target = _PAGES / places[path]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(links.rewritten(text, path, places=places, titles=titles))
    shutil.copyfile(CHECKOUT / _CONFIGURATION, BUILD / "zensical.toml")


def _as_written(made: Mapping[str, str]) -> dict[str, PurePosixPath]:
    """Return where pages lie that are made, as if they had been written under docs/."""
    return {f"docs/{name}": PurePosixPath(name) for name in made}
