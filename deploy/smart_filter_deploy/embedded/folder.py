"""The data folder: its layout, its locks, and the announcement of the stack that runs on it.

    lock, children.lock   held by the running stack; the second by each of its processes too
    stack.json            address of the stack; exists only while it is up
    secrets/NAME          one secret per file
    logs/NAME.log         output of each process
    postgres/ valkey/     the servers' data
    told                  the notice that people were shown last
    objects/              photos, pictures and what stages make of them

Only the folder's owner has access, except to the path of the PostgreSQL data.
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
from smart_filter_shared.config.paths import data_folder
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.security import signing_certificate

_LOCK = "lock"
_CHILDREN_LOCK = "children.lock"
_STATE = "stack.json"
_OBJECTS = "objects"
_SECRET_BYTES = 24
# Names of the test certificate's secrets, by the variables that carry them.
CERTIFICATE_SECRETS = {
    signing_certificate.CERTIFICATE: "c2pa-certificate.pem",
    signing_certificate.KEY: "c2pa-key.pem",
}
# Bridges the instant for which `running_stack` holds the lock.
_LOCK_WAIT_SECONDS = 0.3
# PostgreSQL still writes its checkpoint after its parent was killed.
_MAX_SHUTDOWN_SECONDS = 20.0
_POLL_SECONDS = 0.02
_REMEDY = "choose another folder with --data or SMART_FILTER_DATA"


@dataclass(frozen=True, slots=True)
class DataFolder:
    """The folder with all files of an embedded stack."""

    path: Path

    @classmethod
    def at(cls, path: Path | None = None) -> Self:
        """Return the folder at `path` (None: the default folder); create it if missing.

        Raises SetupFailed when it cannot be created or written, and when other users could plant
        links or secrets in it: it belongs to another user, or is writable by others.  That others
        can read it is mended.
        """
        folder = cls((path or data_folder()).absolute())
        try:
            folder.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            for part in ("secrets", "logs"):
                (folder.path / part).mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            raise SetupFailed(f"cannot write in {folder.path} ({error}): {_REMEDY}") from error
        for place in (folder.path, folder.path / "secrets", folder.path / "logs"):
            status = place.lstat()
            if status.st_uid != os.geteuid() or not stat.S_ISDIR(status.st_mode):
                raise SetupFailed(f"{place} belongs to another user: {_REMEDY}, or chown -R it")
            if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise SetupFailed(f"others can write in {place}: chmod go-w {place}, or {_REMEDY}")
            if status.st_mode & (stat.S_IRGRP | stat.S_IROTH):
                # The right to enter stays: PostgreSQL can run as another user.
                place.chmod(status.st_mode & 0o7711)
        return folder

    def part(self, name: str) -> Path:
        """Return the sub-folder of that name, for the owner only; create it if missing."""
        part = self.path / name
        part.mkdir(exist_ok=True, mode=0o700)
        return part

    def objects(self) -> Path:
        """Return the folder of the objects."""
        return self.part(_OBJECTS)

    def secret(self, name: str) -> str:
        """Return the secret of that name: 48 hex digits, drawn once and stored with mode 0600."""
        path = self.path / "secrets" / name
        if not path.exists():
            draft = _write_private(path, secrets.token_hex(_SECRET_BYTES))
            # A hard link is atomic: the first process wins.
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(draft)
            draft.unlink()
        return path.read_text()

    def replace_secret(self, name: str, text: str) -> None:
        """Write the secret of that name with mode 0600; it appears complete or not at all."""
        path = self.path / "secrets" / name
        _write_private(path, text).replace(path)

    def read_certificate(self) -> dict[str, str]:
        """Return the variables of the test certificate.  Raises OSError when none was made."""
        return {
            variable: (self.path / "secrets" / name).read_text()
            for variable, name in CERTIFICATE_SECRETS.items()
        }

    def is_news(self, notice: str) -> bool:
        """Return whether people were not shown this notice last, and remember it."""
        path = self.path / "told"
        try:
            if path.is_file() and path.read_text() == notice:
                return False
            _write_private(path, notice).replace(path)
        except (OSError, ValueError):
            return True  # a notice too many is better than none
        return True

    def log(self, name: str) -> Path:
        """Return the path of the log of the process of that name."""
        return self.path / "logs" / f"{name}.log"

    @contextlib.contextmanager
    def held(self) -> Iterator[int]:
        """Lock the folder, so that no other process can run a stack on it.

        Yields a file descriptor that every child inherits: while a child lives, even after its
        parent was killed, no other stack can start servers on the same data.

        Raises SetupFailed when another stack runs on the folder, or has left processes that do not
        end.
        """
        with _open_lock(self.path / _LOCK) as lock, _open_lock(self.path / _CHILDREN_LOCK) as held:
            if not _try_lock(lock, _LOCK_WAIT_SECONDS):
                raise SetupFailed(
                    f"a stack already runs on {self.path} (process {_read_holder(lock)}): "
                    f"stop it, or {_REMEDY}"
                )
            self.withdraw()  # the file of a killed stack
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
            if not _try_lock(held, _MAX_SHUTDOWN_SECONDS):
                raise SetupFailed(
                    f"processes of an earlier stack on {self.path} have not ended: end those that "
                    f"`fuser {self.path / _CHILDREN_LOCK}` lists, or {_REMEDY}"
                )
            yield held

    def announce(self, address: StackAddress) -> None:
        """Write `stack.json`, by which `running_stack` finds the stack."""
        state = {
            "url": address.url,
            "api_key": address.api_key,
            "pid": address.pid,
            "studio_url": address.studio_url,
            "operators_url": address.operators_url,
            "https_url": address.https_url,
            "servers": asdict(address.servers),
        }
        path = self.path / _STATE
        _write_private(path, json.dumps(state, indent=2) + "\n").replace(path)

    def withdraw(self) -> None:
        """Remove `stack.json`, so that `running_stack` no longer finds the stack."""
        (self.path / _STATE).unlink(missing_ok=True)


def running_stack(path: Path | None = None) -> StackAddress | None:
    """Return the stack that runs on this folder (None: the default folder), or None.

    The folder of a killed stack counts as not running.
    """
    folder = path or data_folder()
    try:
        state = json.loads((folder / _STATE).read_text())
        address = StackAddress(
            url=str(state["url"]),
            api_key=str(state["api_key"]),
            pid=int(state["pid"]),
            servers=Addresses(**state["servers"]),
            operators_url=state.get("operators_url"),
            https_url=state.get("https_url"),
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None
    # A successor may hold the lock and not have removed the file of a killed stack yet, so the
    # file's process must exist too.
    return address if is_held(folder) and Path(f"/proc/{address.pid}").exists() else None


def is_held(folder: Path) -> bool:
    """Return whether a stack runs, starts or stops on this folder."""
    return is_locked(folder / _LOCK)


def is_locked(path: Path) -> bool:
    """Return whether a process holds this lock file."""
    try:
        with path.open("rb") as lock:
            return not _try_lock(lock.fileno(), 0.0, kind=fcntl.LOCK_SH)
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


def _try_lock(lock: int, seconds: float, *, kind: int = fcntl.LOCK_EX) -> bool:
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


def _read_holder(lock: int) -> str:
    return os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"


def _write_private(path: Path, text: str) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return draft
