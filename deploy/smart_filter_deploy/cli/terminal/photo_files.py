"""Photos that a command line names: files, pipes, and `-` for standard input."""

import os
import select
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Final

import click

from smart_filter_deploy.cli.terminal.text import print_line
from smart_filter_shared.security.photo_header import MAX_PHOTO_BYTES

# Standard input or output in place of a file.
DASH: Final = "-"
_STANDARD_INPUT: Final = "/dev/stdin"
# After this time, a line says that a pipe sends nothing.
_QUIET_SECONDS: Final = 2.0
_COPIES_PREFIX: Final = "smart-filter-"


def name_photo(photo: Path) -> str:
    """Return what messages call a photo: its path, but of a pipe's copy the pipe's name."""
    copies = Path(tempfile.gettempdir(), _COPIES_PREFIX)
    return photo.name if str(photo.parent).startswith(str(copies)) else str(photo)


class PhotoFile(click.Path):
    """A photo: a file as it is; a pipe or standard input as a copy that lasts as the command does.

    A pipe is read once, and up to the limit of photos; a command may need its content again.
    """

    def __init__(self) -> None:
        super().__init__(dir_okay=False, readable=True, path_type=Path, allow_dash=True)

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        """Return the path of a file with the photo."""
        given = str(value)
        if not given:
            self.fail("the name of a photo is empty", param, ctx)
        path = Path(_STANDARD_INPUT if given == DASH else given)
        try:
            kind = path.stat().st_mode
        except OSError as error:
            self.fail(f"{given} cannot be read ({error.strerror})", param, ctx)
        if stat.S_ISREG(kind) and given not in {DASH, _STANDARD_INPUT}:
            return Path(os.fsdecode(super().convert(given, param, ctx)))
        if stat.S_ISDIR(kind):
            self.fail(f"{given} is a folder: `smart-filter batch` takes one", param, ctx)
        return self._copy(given, path, param, ctx)

    def _copy(
        self, given: str, path: Path, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        folder = Path(tempfile.mkdtemp(prefix=_COPIES_PREFIX))
        if ctx is not None:
            ctx.call_on_close(lambda: shutil.rmtree(folder, ignore_errors=True))
        copy = folder / ("stdin" if path == Path(_STANDARD_INPUT) else path.name)
        try:
            pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            if not select.select([pipe], [], [], _QUIET_SECONDS)[0]:
                print_line(f"waiting until a program writes to {given}", err=True)
                select.select([pipe], [], [])
            os.set_blocking(pipe, True)
            with open(pipe, "rb") as source:  # noqa: PTH123 - it is open
                content = source.read(MAX_PHOTO_BYTES + 1)
        except OSError as error:
            self.fail(f"{given} cannot be read ({error.strerror})", param, ctx)
        if len(content) > MAX_PHOTO_BYTES:
            self.fail(f"{given} sends more than {MAX_PHOTO_BYTES:,} bytes", param, ctx)
        if not content:
            self.fail(f"{given} is empty", param, ctx)
        copy.write_bytes(content)
        return copy
