"""What is wrong with a folder of training pictures, found before hours are spent on it."""

import hashlib
import importlib.util
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

# A run writes checkpoints, curves and the exported file; none of ours is above 200 MB.
LEAST_FREE_BYTES: Final = 500_000_000
# More of one kind tell nothing new.
MOST_OF_A_KIND: Final = 20
_SIDE_PX: Final = 32
_WAVES: Final = 8


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong.

    where: the file, or the folder; what: is wrong with it; remedy: what to do.
    fatal: whether a run must not begin.
    """

    where: str
    what: str
    remedy: str
    fatal: bool = True


def unreadable(where: str, path: Path, error: Exception, remedy: str) -> Finding:
    """Return what a reader says of a file or folder, whose path it does not say a second time.

    where: what the finding calls it; path: what the reader calls it.
    """
    what = str(error).removeprefix(str(path)).removeprefix(":").removeprefix("/").strip()
    return Finding(where, what, remedy)


def few(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings, at most MOST_OF_A_KIND with one remedy, and how many more there are."""
    by_remedy: dict[str, list[Finding]] = {}
    for finding in findings:
        by_remedy.setdefault(finding.remedy, []).append(finding)
    kept = []
    for remedy, alike in by_remedy.items():
        kept += alike[:MOST_OF_A_KIND]
        more = len(alike) - MOST_OF_A_KIND
        if more > 0:
            fatal = any(finding.fatal for finding in alike)
            kept.append(Finding("…", f"{more} more like these", remedy, fatal))
    return kept


def room(folder: Path) -> Iterator[Finding]:
    """Find that a run's folder, or what will hold it, has no room or cannot be written."""
    existing = next(one for one in (folder, *folder.parents) if one.exists())
    if not existing.is_dir():
        yield Finding(str(existing), "is no folder", "name another one with --run")
        return
    free = shutil.disk_usage(existing).free
    if free < LEAST_FREE_BYTES:
        yield Finding(
            str(existing),
            f"has {free // 1_000_000} MB of free room, a run needs {LEAST_FREE_BYTES // 1_000_000}",
            "free some, or name a folder on another disk with --run",
        )
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        yield Finding(
            str(existing), f"cannot be written: {error.strerror}", "name another folder with --run"
        )


def accelerator(packages: Iterable[str]) -> Iterator[Finding]:
    """Find that there is no GPU for the framework among some packages; a run is only slower."""
    names = set(packages)
    if "tensorflow" in names and importlib.util.find_spec("tensorflow") is not None:
        import tensorflow as tf  # noqa: PLC0415 - checks of data need no framework

        there = bool(tf.config.list_physical_devices("GPU"))
    elif "torch" in names and importlib.util.find_spec("torch") is not None:
        import torch  # noqa: PLC0415

        there = bool(torch.cuda.is_available())
    else:
        return
    if not there:
        yield Finding(
            "this machine",
            "has no GPU that the framework can use",
            "nothing: it takes longer",
            fatal=False,
        )


def empty_classes(counts: Mapping[str, int], *, where: str, least: int = 1) -> Iterator[Finding]:
    """Find the classes that have fewer examples than `least`."""
    for name, count in counts.items():
        if count < least:
            yield Finding(
                where,
                f"has {count} of {name}, needs {least} at least",
                "add some, or leave the class out of the data",
            )


def across_splits(
    hashes: Sequence[int], names: Sequence[str], held_out: NDArray[np.bool_]
) -> Iterator[Finding]:
    """Find pictures that train and validate at once: a figure from them would flatter.

    hashes: by `picture_hash`; held_out: (N,) bool, which validate.
    """
    trained = {
        code: name for code, name, out in zip(hashes, names, held_out, strict=True) if not out
    }
    for code, name, out in zip(hashes, names, held_out, strict=True):
        if out and code in trained:
            yield Finding(
                name,
                f"looks like {trained[code]}, which is on the other side of the split",
                "remove one of them: figures from both would flatter",
            )


def picture_hash(grey: NDArray[np.uint8]) -> int:
    """Return what stays the same when a picture is saved again: the signs of 63 waves.

    grey: (H, W) uint8.  Source: Zauner 2010, "Implementation and benchmarking of perceptual
    image hash functions", 3.2.1, the DCT hash.  Only equal hashes count here: crops of faces
    are so alike that a few bits apart are two people.
    """
    small = cv2.resize(grey, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
    waves = cv2.dct(small.astype(np.float32))[:_WAVES, :_WAVES].ravel()[1:]
    return int.from_bytes(np.packbits(waves > np.median(waves)).tobytes())


def digest(parts: Iterable[bytes]) -> str:
    """Return the SHA-256 of data, in lower-case hex."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part)
    return whole.hexdigest()
