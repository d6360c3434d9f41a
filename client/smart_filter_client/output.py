"""An output of a job on its way here."""

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Output:
    """An output's bytes, once, in the order of their arrival.

    media_type: such as `image/jpeg`.
    """

    media_type: str
    chunks: Iterator[bytes]

    def read(self) -> bytes:
        """Return all of it."""
        return b"".join(self.chunks)

    def save(self, path: Path) -> None:
        """Write it to a file, which appears complete or not at all.

        Raises OSError when it cannot be written.
        """
        if path.exists() and not path.is_file():  # a device or a pipe must not be replaced
            with path.open("wb") as sink:
                sink.writelines(self.chunks)
            return
        partial = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.part")
        try:
            with partial.open("xb") as file:
                file.writelines(self.chunks)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
