"""docs/extending.md applied to a copy of the packages."""

import os
import re
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
PAGE = CHECKOUT / "docs" / "extending.md"
FOLDERS = ("api", "client", "deploy", "shared", "training", "workers")


def blocks_by_file(title: str) -> dict[str, list[str]]:
    """Return the code blocks of a section of the page, by the file that they belong to."""
    section = PAGE.read_text("utf-8").partition(f"## {title}\n")[2].partition("\n## ")[0]
    code: dict[str, list[str]] = defaultdict(list)
    for part in re.split(r"^(?=\*\*\d\. )", section, flags=re.MULTILINE)[1:]:
        named = re.match(r"\*\*\d\. `([^`]+)`", part)
        assert named is not None
        code[named[1]] += re.findall(r"```python\n(.*?)```", part, flags=re.DOTALL)
    return code


def apply_to_copy(
    blocks: Mapping[str, Sequence[str]],
    folder: Path,
    places: Mapping[str, tuple[str, int]],
    folders: Sequence[str] = FOLDERS,
) -> dict[str, str]:
    """Apply the blocks to a copy of these folders; return the environment of its programs.

    places: by the first line of a block, the text that it is inserted before, and how often.
    """
    for name in folders:
        shutil.copytree(
            CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name, parts in blocks.items():
        path = folder / name
        if not path.exists() and parts:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(parts), "utf-8")
        elif path.suffix == ".py":
            for part in parts:
                path.write_text(_insert(path.read_text("utf-8"), part, places), "utf-8")
    return {**os.environ, "PYTHONPATH": os.pathsep.join(str(folder / name) for name in folders)}


def _insert(text: str, block: str, places: Mapping[str, tuple[str, int]]) -> str:
    """Insert a block at the place that its first line names."""
    where, _, code = block.partition("\n")
    pattern, expected = places[where]
    changed, times = re.subn(pattern, lambda match: code + match[0], text)
    assert times == expected
    return changed
