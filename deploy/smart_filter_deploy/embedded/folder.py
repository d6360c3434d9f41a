"""The data folder: what lies where, who holds it, and how others find the stack that runs on it.

    lock, children.lock   held by the running stack; the second by each of its processes too
    stack.json            where the stack is; there only while it is up
    secrets/NAME          one random secret per file
    logs/NAME.log         what each process printed
    postgres/ valkey/ s3/ the servers' data

Everything but the way to the PostgreSQL data is open to the folder's owner alone.
"""

import contextlib
import fcntl
import json
import os
import secrets
import stat
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from smart_filter_deploy.embedded.addresses import Addresses, StackAddress
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.places import data_folder

_LOCK = "lock"
_CHILDREN_LOCK = "children.lock"
_STATE = "stack.json"
_SECRET_BYTES = 24
_PEEK_SECONDS = 0.3  # running_stack holds the lock for an instant; nobody is refused for that
_CHILDREN_SECONDS = 20.0  # PostgreSQL writes its checkpoint after its parent was killed
_POLL_SECONDS = 0.02
_REMEDY = "choose another folder with --data or SMART_FILTER_DATA"


@dataclass(frozen=True, slots=True)
class DataFolder:
    """One folder with everything that an embedded stack keeps."""

    path: Path

    @classmethod
    def at(cls, path: Path | None = None) -> Self:
        """The folder at `path` (none: the default one), created when it is not there.

        Raises SetupFailed when it cannot be created or written, and when others could plant
        links or secrets in it: a folder that is not ours, or that they may write in.
        """
        folder = cls((path or data_folder()).absolute())
        try:
            folder.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            for part in ("secrets", "logs"):
                (folder.path / part).mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            raise SetupFailed(f"cannot write in {folder.path} ({error}): {_REMEDY}") from error
        for place in (folder.path, folder.path / "secrets", folder.path / "logs"):
            found = place.lstat()
            if found.st_uid != os.geteuid() or not stat.S_ISDIR(found.st_mode):
                raise SetupFailed(f"{place} belongs to somebody else: {_REMEDY}, or chown -R it")
            if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise SetupFailed(f"others may write in {place}: chmod go-w {place}, or {_REMEDY}")
        return folder

    def part(self, name: str) -> Path:
        """The sub-folder of that name, for the owner alone; created when it is not there."""
        part = self.path / name
        part.mkdir(exist_ok=True, mode=0o700)
        return part

    def secret(self, name: str) -> str:
        """The secret of that name: 48 hexadecimal digits, drawn once and kept with mode 0600."""
        path = self.path / "secrets" / name
        if not path.exists():
            draft = _write_private(path, secrets.token_hex(_SECRET_BYTES))
            # A link appears complete or not at all, and whoever is first wins.
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(draft)
            draft.unlink()
        return path.read_text()

    def log(self, name: str) -> Path:
        """Where the process of that name writes its log."""
        return self.path / "logs" / f"{name}.log"

    @contextlib.contextmanager
    def held(self) -> Iterator[int]:
        """Hold the folder: nobody else can run a stack on it.

        Yields a file descriptor that every child inherits: while one of them lives, even after
        its parent was killed, nobody can start servers over the same data.

        Raises SetupFailed when another stack runs on it, or left processes that do not end.
        """
        with _open_lock(self.path / _LOCK) as lock, _open_lock(self.path / _CHILDREN_LOCK) as held:
            if not _acquired(lock, _PEEK_SECONDS):
                raise SetupFailed(
                    f"a stack runs on {self.path} already (process {_holder(lock)}): "
                    f"stop it, or {_REMEDY}"
                )
            self.withdraw()  # that of a stack which was killed
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
            if not _acquired(held, _CHILDREN_SECONDS):
                raise SetupFailed(
                    f"processes of an earlier stack on {self.path} have not ended: end those that "
                    f"`fuser {self.path / _CHILDREN_LOCK}` lists, or {_REMEDY}"
                )
            yield held

    def announce(self, address: StackAddress) -> None:
        """Let others find the stack that is up now."""
        state = {
            "url": address.url,
            "api_key": address.api_key,
            "pid": address.pid,
            "studio_url": address.studio_url,
            "servers": asdict(address.servers),
        }
        path = self.path / _STATE
        _write_private(path, json.dumps(state, indent=2) + "\n").replace(path)

    def withdraw(self) -> None:
        """Let nobody find the stack any more."""
        (self.path / _STATE).unlink(missing_ok=True)


def running_stack(path: Path | None = None) -> StackAddress | None:
    """The stack that is up on this folder (none: the default one), or None.

    A folder that a stack left behind when it was killed counts as not running.
    """
    folder = path or data_folder()
    try:
        state = json.loads((folder / _STATE).read_text())
        address = StackAddress(
            url=str(state["url"]),
            api_key=str(state["api_key"]),
            pid=int(state["pid"]),
            servers=Addresses(**state["servers"]),
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None
    # Held by a successor that has not removed the file of a killed stack yet: not that process.
    return address if is_held(folder) and Path(f"/proc/{address.pid}").exists() else None


def is_held(folder: Path) -> bool:
    """Whether a stack runs on this folder, be it about to come up or to go down."""
    try:
        with (folder / _LOCK).open("rb") as lock:
            return not _acquired(lock.fileno(), 0.0, kind=fcntl.LOCK_SH)
    except OSError:
        return False


@contextlib.contextmanager
def _open_lock(path: Path) -> Iterator[int]:
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SetupFailed(f"cannot open {path} ({error.strerror}): {_REMEDY}") from error
    try:
        yield lock
    finally:
        os.close(lock)


def _acquired(lock: int, seconds: float, *, kind: int = fcntl.LOCK_EX) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_SECONDS)
        else:
            return True


def _holder(lock: int) -> str:
    return os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"


def _write_private(path: Path, text: str) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return draft
