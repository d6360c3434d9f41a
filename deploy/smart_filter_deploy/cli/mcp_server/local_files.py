"""The files that tools may read and write: those below the folders that the operator named."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from mcp.server.mcpserver.exceptions import ToolError

from smart_filter_shared.security.photo_header import MAX_PHOTO_BYTES

_MEGA = 1_000_000


@dataclass(frozen=True, slots=True)
class LocalFolders:
    """Folders that tools may use, resolved; relative paths start at the first one."""

    folders: tuple[Path, ...]

    @classmethod
    def at(cls, paths: Iterable[Path]) -> Self:
        """Return the named folders, else the working directory unless that is the whole disk.

        Desktop programs start their servers in `/`.
        """
        folders = [folder.resolve() for folder in paths] or [Path.cwd()]
        return cls(tuple(folder for folder in folders if folder != Path(folder.anchor)))

    def photo(self, text: str) -> Path:
        """Return the path of a photo.  Raises ToolError."""
        if not text.strip():
            raise ToolError("photo is empty: name a file, or an https:// address")
        place = self._resolve(text)
        if not place.is_file():
            raise ToolError(f"there is no file {place}")
        status = place.stat()
        # The other names of a file cannot be found: one may be outside the folders.
        if status.st_nlink > 1:
            raise ToolError(
                f"{place} has hard links, which may lead outside the folders: make a copy of it"
            )
        size = status.st_size
        if size > MAX_PHOTO_BYTES:
            raise ToolError(
                f"{place} has {size / _MEGA:.1f} MB, and a photo has"
                f" {MAX_PHOTO_BYTES // _MEGA} MB at most"
            )
        return place

    def new_file(self, text: str) -> Path:
        """Return the path of a file to write, in a folder that exists.  Raises ToolError."""
        place = self._resolve(text)
        self._resolve(str(place.parent))  # a folder itself is no file below it
        if not place.parent.is_dir():
            raise ToolError(f"there is no folder {place.parent}")
        return place

    def __str__(self) -> str:
        return ", ".join(map(str, self.folders)) or "none; start it with --folder DIR"

    def _resolve(self, text: str) -> Path:
        """Return a path with its links resolved.  Raises ToolError outside the folders."""
        try:
            place = Path(*self.folders[:1], Path(text).expanduser()).resolve()
        except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a NUL
            raise ToolError(f"{text!r} is not the path of a file") from error
        if not any(place.is_relative_to(folder) for folder in self.folders):
            raise ToolError(f"{text} is outside the folders that this server may use: {self}")
        return place
