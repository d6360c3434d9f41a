"""Write files that appear complete or not at all."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import IO


def write_file(place: Path, content: bytes) -> None:
    """Write a file.  Raises OSError."""
    writing = PartialFile.begin(place)
    try:
        writing.file.write(content)
        writing.finish()
    finally:
        writing.end()


@dataclass(frozen=True, slots=True)
class PartialFile:
    """A file being written; partial: its temporary path until it is complete."""

    place: Path
    partial: Path | None
    file: IO[bytes]

    @classmethod
    def begin(cls, place: Path) -> "PartialFile":
        """Open the temporary file, or a device itself."""
        if place.exists() and not place.is_file():  # a device or a pipe must not be replaced
            return cls(place, None, place.open("wb"))
        partial = place.with_name(f".{place.name[:100]}.{secrets.token_hex(4)}.part")
        return cls(place, partial, partial.open("xb"))

    def finish(self) -> None:
        """Put the complete file in its place."""
        self.file.flush()
        if self.partial is not None:
            os.fsync(self.file.fileno())
            self.partial.replace(self.place)

    def end(self) -> None:
        """Close the file, and remove what is incomplete."""
        self.file.close()
        if self.partial is not None:
            self.partial.unlink(missing_ok=True)
