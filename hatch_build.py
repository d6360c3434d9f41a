"""The dependencies of the distribution, and its extras: groups of pyproject.toml."""

import tomllib
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class Dependencies(MetadataHookInterface):
    """Adds the dependencies when the distribution is built or its metadata is read."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the groups that `tool.hatch.metadata.hooks.custom` names to the project's table."""
        read = tomllib.loads((Path(self.root) / "pyproject.toml").read_text(encoding="utf-8"))
        groups = read["dependency-groups"]
        metadata["dependencies"] = _expand(self.config["dependencies"], groups)
        metadata["optional-dependencies"] = {
            extra: _expand(extra, groups) for extra in self.config["extras"]
        }


def _expand(name: str, groups: dict[str, list[str | dict[str, str]]]) -> list[str]:
    """Return the requirements of a group.  Source: PEP 735, "Dependency Group Include"."""
    found: set[str] = set()
    for entry in groups[name]:
        found |= {entry} if isinstance(entry, str) else {*_expand(entry["include-group"], groups)}
    return sorted(found)
