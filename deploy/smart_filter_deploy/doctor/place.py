"""The data folder: whose it is, who can enter it, who holds it; nothing is changed."""

import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from smart_filter_deploy.doctor.findings import Finding, fail, ok, warn
from smart_filter_deploy.embedded.folder import is_held, running_stack
from smart_filter_deploy.embedded.server_user import closed_to, server_user

_ELSEWHERE = "choose another folder with --data or SMART_FILTER_DATA"


def folder(path: Path) -> Iterator[Finding]:
    """Look at whether we can work in the folder, or make it."""
    place = next(one for one in (path, *path.parents) if one.exists())
    if not place.is_dir():
        yield fail("data folder", f"{place} is no folder", _ELSEWHERE)
    elif not os.access(place, os.W_OK | os.X_OK):
        yield fail("data folder", f"{place} cannot be written by this user", _ELSEWHERE)
    elif place != path:
        yield ok("data folder", f"{path} will be made")
    elif path.stat().st_uid != os.geteuid():
        fix = f"chown -R {os.geteuid()} {path}, or {_ELSEWHERE}"
        yield fail("data folder", f"{path} belongs to user {path.stat().st_uid}", fix)
    elif path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield fail("data folder", f"others may write in {path}", f"chmod go-w {path}")
    else:
        yield ok("data folder", str(path))


def postgres_user(path: Path) -> Iterator[Finding]:
    """Look at whether the user that PostgreSQL runs as can enter the folder."""
    user = server_user(path / "postgres" / "data")
    if user is None:
        yield ok("permissions", "PostgreSQL runs as this user")
        return
    # The folder itself is ours to open, and `up` does so.
    closed = closed_to(user, path.parent)
    if closed is None:
        yield ok("permissions", f"PostgreSQL runs as user {user.uid}, who can enter {path.parent}")
        return
    yield fail(
        "permissions",
        f"PostgreSQL runs as user {user.uid}, who cannot enter {closed}",
        f"chmod o+x {closed}, or {_ELSEWHERE}",
    )


def stack(path: Path) -> Iterator[Finding]:
    """Look at who holds the folder, and at what a stack that was killed has left."""
    up = running_stack(path)
    left = path / "stack.json"
    if up is not None:
        yield ok("stack", f"up at {up.url} (process {up.pid})")
    elif is_held(path):
        holder = (path / "lock").read_text().strip() or "unknown"
        fix = f"wait some seconds; should it stay so, kill {holder}"
        yield warn("stack", f"process {holder} holds {path}: it starts or stops", fix)
    elif survivors := _holders(path / "children.lock"):
        pids = " ".join(survivors)
        said = f"processes of a stack that was killed still run on {path} ({pids})"
        yield fail("stack", said, f"kill {pids}, and start again when they have ended")
    elif left.exists():
        fix = f"the next `smart-filter up` replaces it, or rm {left}"
        yield warn("stack", f"{left} is of a stack that was killed; nothing runs", fix)
    else:
        # A lock is held by a process that lives, never by the file that it leaves.
        yield ok("stack", "none is up; the folder is free")


def _holders(lock: Path) -> list[str]:
    """Return the processes that have a lock file open while somebody holds it."""
    if not _is_locked(lock):
        return []
    found = []
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            same = link.readlink() == lock
        except OSError:
            continue
        if same:
            found.append(link.parts[2])
    return sorted(set(found), key=int) or ["unknown"]


def _is_locked(lock: Path) -> bool:
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
