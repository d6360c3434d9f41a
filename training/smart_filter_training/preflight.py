"""Check the machine and a folder of training pictures before a run spends hours on them."""

import hashlib
import importlib.util
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.opencv import cv2

# A run writes checkpoints, curves and the exported file; none of our models needs over 200 MB.
MIN_FREE_BYTES: Final = 500_000_000
# More findings with the same remedy add no information.
MAX_FINDINGS_PER_REMEDY: Final = 20
_HASH_SIDE_PX: Final = 32
_HASH_WAVES: Final = 8


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem that a check found.

    where: the file or the folder; what: the problem; remedy: the solution.
    fatal: whether a run must not start.
    """

    where: str
    what: str
    remedy: str
    fatal: bool = True


def describe_unreadable(where: str, path: Path, error: Exception, remedy: str) -> Finding:
    """Return the finding for a reader's error, without repeating the path in its text.

    where: the path as the finding names it; path: the path as the reader names it.
    """
    what = str(error).removeprefix(str(path)).removeprefix(":").removeprefix("/").strip()
    return Finding(where, what, remedy)


def limit_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Return at most MAX_FINDINGS_PER_REMEDY findings of each remedy, and the number of others."""
    by_remedy: dict[str, list[Finding]] = {}
    for finding in findings:
        by_remedy.setdefault(finding.remedy, []).append(finding)
    limited = []
    for remedy, alike in by_remedy.items():
        limited += alike[:MAX_FINDINGS_PER_REMEDY]
        more = len(alike) - MAX_FINDINGS_PER_REMEDY
        if more > 0:
            fatal = any(finding.fatal for finding in alike)
            limited.append(Finding("…", f"{more} more like these", remedy, fatal))
    return limited


def require_least(configuration: object, least: Mapping[str, int]) -> None:
    """Raise SetupFailed naming the first setting that is below its least value."""
    for name, value in least.items():
        given = getattr(configuration, name)
        if given < value:
            raise SetupFailed(f"{name} is {given}: set at least {value}")


def check_run_folder(folder: Path) -> Iterator[Finding]:
    """Find that a run's folder, or its nearest parent, is full or not writable."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir():
        yield Finding(str(existing), "is not a folder", "name another one with --run")
        return
    free = shutil.disk_usage(existing).free
    if free < MIN_FREE_BYTES:
        yield Finding(
            str(existing),
            f"has {free // 1_000_000} MB of free space, a run needs {MIN_FREE_BYTES // 1_000_000}",
            "free some, or name a folder on another disk with --run",
        )
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        yield Finding(
            str(existing), f"cannot be written: {error.strerror}", "name another folder with --run"
        )


def check_accelerator(packages: Iterable[str]) -> Iterator[Finding]:
    """Find that the framework among some packages has no GPU; a run is slower then."""
    names = set(packages)
    if "tensorflow" in names and importlib.util.find_spec("tensorflow") is not None:
        import tensorflow as tf  # noqa: PLC0415 - checks of data need no framework

        has_gpu = bool(tf.config.list_physical_devices("GPU"))
    elif "torch" in names and importlib.util.find_spec("torch") is not None:
        import torch  # noqa: PLC0415 - checks of data need no framework

        has_gpu = bool(torch.cuda.is_available())
    else:
        return
    if not has_gpu:
        yield Finding(
            "this machine",
            "has no GPU that the framework can use",
            "nothing: it takes longer",
            fatal=False,
        )


def check_class_sizes(
    counts: Mapping[str, int], *, where: str, least: int = 1
) -> Iterator[Finding]:
    """Find the classes that have fewer examples than `least`."""
    for name, count in counts.items():
        if count < least:
            yield Finding(
                where,
                f"has {count} of {name}, needs {least} at least",
                "add some, or leave the class out of the data",
            )


def check_leakage(
    hashes: Sequence[int], names: Sequence[str], is_held_out: NDArray[np.bool_]
) -> Iterator[Finding]:
    """Find pictures on both sides of the split: figures from them would be too high.

    hashes: by `hash_picture`; is_held_out: (N,) bool, the pictures that validate.
    """
    trained = {
        code: name for code, name, out in zip(hashes, names, is_held_out, strict=True) if not out
    }
    for code, name, out in zip(hashes, names, is_held_out, strict=True):
        if out and code in trained:
            yield Finding(
                name,
                f"looks like {trained[code]}, which is on the other side of the split",
                "remove one of them: figures from both would be too high",
            )


def hash_picture(gray: NDArray[np.uint8]) -> int:
    """Return a hash that survives saving a picture again: the signs of 63 waves.

    gray: (H, W) uint8.  Source: Zauner 2010, "Implementation and benchmarking of perceptual
    image hash functions", 3.2.1, the DCT hash.  Only equal hashes count here: crops of faces
    are so alike that hashes of two people differ in a few bits.
    """
    small = cv2.resize(gray, (_HASH_SIDE_PX, _HASH_SIDE_PX), interpolation=cv2.INTER_AREA)
    waves = cv2.dct(small.astype(np.float32))[:_HASH_WAVES, :_HASH_WAVES].ravel()[1:]
    return int.from_bytes(np.packbits(waves > np.median(waves)).tobytes())


def compute_digest(parts: Iterable[bytes]) -> str:
    """Return the SHA-256 of data, in lower-case hex."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part)
    return whole.hexdigest()
