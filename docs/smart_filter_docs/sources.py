"""List the repository's files of the site, and the place of each in it.

Files are not moved for the site: they are also read in the repository.
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

CHECKOUT: Final = Path(__file__).parents[2]

# Pages outside docs/: at the root and of the tests.
_OUTSIDE: Final = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "tests/README.md": "tests.md",
    "CHANGELOG.md": "changes.md",
    "SECURITY.md": "reporting.md",
}
# The site uses the studio's icon and fonts.
_STUDIO: Final = "api/smart_filter_api/studio/page/"
_STUDIO_FILES: Final = (
    "icon.svg",
    "fonts/bricolage-grotesque.woff2",
    "fonts/instrument-sans.woff2",
)
# Place of the designs' thumbnails in the site, and their source.
DESIGNS: Final = "designs"
_THUMBNAILS: Final = "shared/smart_filter_shared/presets/thumbnails/"
_EXAMPLES: Final = "deploy/examples/"
_INSTALLED: Final = "node_modules"
_SHOWN: Final = {".md", ".jpg", ".png", ".svg", ".webp", ".json", ".css", ".js"}


def site_places() -> Mapping[str, PurePosixPath]:
    """Return the place of each file in the site, by its path in the repository."""
    studio_files = [f"{_STUDIO}{name}" for name in _STUDIO_FILES]
    inside = [
        path.relative_to(CHECKOUT).as_posix()
        for folder in ("docs", _EXAMPLES, _THUMBNAILS)
        for path in sorted((CHECKOUT / folder).rglob("*"))
        if path.is_file() and _INSTALLED not in path.parts
    ]
    placed = {path: _place(path) for path in (*_OUTSIDE, *studio_files, *inside)}
    return {path: place for path, place in placed.items() if place is not None}


def _place(path: str) -> PurePosixPath | None:
    if path in _OUTSIDE:
        return PurePosixPath(_OUTSIDE[path])
    if path.startswith(_STUDIO):
        return PurePosixPath("studio", PurePosixPath(path).name)
    if path.startswith(_THUMBNAILS):
        name = PurePosixPath(path).name
        return PurePosixPath(DESIGNS, name) if name.endswith(".webp") else None
    if path.startswith(_EXAMPLES):
        return PurePosixPath("examples", path.removeprefix(_EXAMPLES))
    inside = PurePosixPath(path)
    if inside.parts[0] != "docs" or inside.suffix not in _SHOWN:
        return None
    place = inside.relative_to("docs")
    return place.with_name("index.md") if place.name == "README.md" else place
