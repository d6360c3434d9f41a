"""Puts the finished photos of a watched folder away, and sets new photos of old names apart."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from smart_filter_deploy.cli.batch.watch import FoundPhoto
from smart_filter_deploy.cli.terminal.exit_codes import CommandError
from smart_filter_wire.file_names import free_name

DONE, FAILED = "done", "failed"


class HotFolder:
    """A watched folder, whose photos move to its folders `done` and `failed` when they have ended.

    root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self._root: Final = root

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders for photos that have ended."""
        return (self._root / DONE, self._root / FAILED)

    def prepare(self) -> None:
        """Create the two folders.  Raises CommandError."""
        for folder in self.folders:
            try:
                folder.mkdir(exist_ok=True)
            except OSError as error:
                raise CommandError(
                    f"cannot create {folder} ({error.strerror}): --watch moves photos there, so let"
                    " this user write in the watched folder"
                ) from error

    def put_away(self, photo: FoundPhoto, *, succeeded: bool) -> str | None:
        """Move a photo that has ended; return its new path below the folder.

        None for a photo that was changed or removed since it was read.  Raises CommandError.
        """
        target = self._root / (DONE if succeeded else FAILED) / photo.name
        try:
            status = photo.path.stat()
            if (status.st_size, status.st_mtime_ns) != photo.version:
                return None
            target.parent.mkdir(parents=True, exist_ok=True)
            return self._move(photo, target, set().__contains__)
        except FileNotFoundError:
            return None

    def set_apart(self, photo: FoundPhoto, is_taken: Callable[[str], bool]) -> None:
        """Rename a new photo, because an earlier one of its name has ended.  Raises CommandError.

        is_taken: whether another photo has had a name.
        """
        try:
            self._move(photo, photo.path, is_taken)
        except FileNotFoundError:
            return

    def _move(self, photo: FoundPhoto, wanted: Path, is_taken: Callable[[str], bool]) -> str:
        """Rename a photo to a path that is free; return it, relative to the folder."""
        target = wanted.with_name(
            free_name(
                wanted.stem,
                wanted.suffix,
                lambda name: (
                    os.path.lexists(place := wanted.with_name(name))
                    or is_taken(place.relative_to(self._root).as_posix())
                ),
            )
        )
        try:
            photo.path.rename(target)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise CommandError(
                f"cannot move {photo.path} to {target} ({error.strerror}): correct this and start"
                " --watch again; it continues where it stopped"
            ) from error
        return target.relative_to(self._root).as_posix()
