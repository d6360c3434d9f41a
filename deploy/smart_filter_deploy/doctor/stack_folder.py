"""Check the data folder without changing it: owner, access, lock."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from smart_filter_deploy.doctor.findings import Finding, fail, ok, warn
from smart_filter_deploy.embedded.folder import is_held, is_locked, running_stack
from smart_filter_deploy.embedded.server_user import find_inaccessible, server_user

_CHOOSE_ANOTHER_FOLDER = "choose another folder with --data or SMART_FILTER_DATA"


def check_folder(path: Path) -> Iterator[Finding]:
    """Check whether this user can use the folder, or create it."""
    place = next(parent for parent in (path, *path.parents) if parent.exists())
    if not place.is_dir():
        yield fail("data folder", f"{place} is not a folder", _CHOOSE_ANOTHER_FOLDER)
    elif not os.access(place, os.W_OK | os.X_OK):
        yield fail("data folder", f"this user cannot write in {place}", _CHOOSE_ANOTHER_FOLDER)
    elif place != path:
        yield ok("data folder", f"{path} will be created")
    elif path.stat().st_uid != os.geteuid():
        fix = f"chown -R {os.geteuid()} {path}, or {_CHOOSE_ANOTHER_FOLDER}"
        yield fail("data folder", f"{path} belongs to user {path.stat().st_uid}", fix)
    elif path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield fail("data folder", f"others can write in {path}", f"chmod go-w {path}")
    else:
        yield ok("data folder", str(path))


def check_postgres_user(path: Path) -> Iterator[Finding]:
    """Check whether the user that PostgreSQL runs as can enter the folder."""
    user = server_user(path / "postgres" / "data")
    if user is None:
        yield ok("permissions", "PostgreSQL runs as this user")
        return
    # The folder itself is not checked: `up` grants access to it.
    closed = find_inaccessible(user, path.parent)
    if closed is None:
        yield ok("permissions", f"PostgreSQL runs as user {user.uid}, who can enter {path.parent}")
        return
    yield fail(
        "permissions",
        f"PostgreSQL runs as user {user.uid}, who cannot enter {closed}",
        f"chmod o+x {closed}, or {_CHOOSE_ANOTHER_FOLDER}",
    )


def check_stack(path: Path) -> Iterator[Finding]:
    """Check which process holds the folder, and for the remains of a killed stack."""
    up = running_stack(path)
    state = path / "stack.json"
    if up is not None:
        yield ok("stack", f"up at {up.url} (process {up.pid})")
    elif is_held(path):
        holder = (path / "lock").read_text().strip() or "unknown"
        fix = f"wait some seconds; if it still holds the folder then, kill {holder}"
        yield warn("stack", f"process {holder} holds {path}: it starts or stops", fix)
    elif survivors := _find_lock_holders(path / "children.lock"):
        pids = " ".join(survivors)
        said = f"processes of a killed stack still run on {path} ({pids})"
        yield fail("stack", said, f"kill {pids}, and start again when they have ended")
    elif state.exists():
        fix = f"the next `smart-filter up` replaces it, or rm {state}"
        yield warn("stack", f"{state} is left from a killed stack; no process runs", fix)
    else:
        # Lock files may remain: only a live process holds a lock.
        yield ok("stack", "no stack runs; the folder is free")


def _find_lock_holders(lock: Path) -> list[str]:
    """Return the ids of processes with a lock file open, when a process holds the lock."""
    if not is_locked(lock):
        return []
    holders = []
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            same = link.readlink() == lock
        except OSError:
            continue
        if same:
            holders.append(link.parts[2])
    return sorted(set(holders), key=int) or ["unknown"]
