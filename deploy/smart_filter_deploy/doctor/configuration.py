"""Check the settings: unread variables, certificates that expire, the folder of the local stack."""

import datetime as dt
import os
import re
import ssl
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, get_type_hints
from urllib.parse import urlsplit

from pydantic_settings import BaseSettings

from smart_filter_deploy.doctor.findings import Finding, fail, ok, warn
from smart_filter_deploy.embedded.folder import is_held, is_locked, running_stack
from smart_filter_deploy.embedded.server_user import find_inaccessible, server_user
from smart_filter_shared import suggestions
from smart_filter_shared.config import settings
from smart_filter_shared.config.settings import Settings
from smart_filter_shared.security import signing_certificate

_PREFIX: Final = "SMART_FILTER_"
# Variables read without `settings`: of clients, of paths, and those that processes pass on.
_OTHER_NAMES: Final = frozenset(
    {"URL", "API_KEY", "DATA", "WEIGHTS_MIRROR", "LOCAL_KEY", "LOCAL_CODE"}
)
# Variables of a checkout's tests and tools.
_CHECKOUT_NAMES: Final = frozenset({"EVAL_DATA", "TEST_FAULTS", "CHROMIUM"})
# Variables that Kubernetes sets for services named smart-filter-…, and the published ports of
# docker-compose.yml.
_FOREIGN_NAMES: Final = re.compile(r".*_(SERVICE_HOST|SERVICE_PORT\w*|PORT(_\d+_(TCP|UDP)\w*)?)")
# Time to renew a certificate: Let's Encrypt renews its own at the same distance.
_WARN_DAYS: Final = 30
_TIMEOUT_SECONDS: Final = 3.0
_HTTPS_PORT: Final = 443

_CHOOSE_ANOTHER_FOLDER = "choose another folder with --data or SMART_FILTER_DATA"


def check_variables(environ: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Check the names of variables SMART_FILTER_…: a misspelled one has no effect."""
    names = _known_names()
    unknown = [
        name
        for name in sorted(environ)
        if name.upper().startswith(_PREFIX)
        and name.upper().removeprefix(_PREFIX) not in names
        and not _FOREIGN_NAMES.fullmatch(name.upper())
    ]
    for name in unknown:
        near = suggestions.find_nearest(name.upper().removeprefix(_PREFIX), names)
        fix = f"did you mean {_PREFIX}{near[0]}?" if near else "docs/settings.md lists all names"
        yield warn("variables", f"{name} is not read by any program", fix)
    if not unknown:
        yield ok("variables", f"every {_PREFIX}… variable that is set has a known name")


def check_signature() -> Iterator[Finding]:
    """Check the certificate that signs Content Credentials."""
    chain_pem = settings.load_provenance().certificate
    if chain_pem is not None:
        fix = "set a new one, and start API and workers again (docs/provenance.md)"
        yield _check_expiry("c2pa", signing_certificate.CERTIFICATE, chain_pem, fix)


def check_https(url: str) -> Iterator[Finding]:
    """Check the certificate that the server of a URL shows, whether it is trusted here or not.

    Nothing is found for http, and for a server that does not answer, which other checks report.
    """
    place = urlsplit(url)
    if place.scheme != "https" or place.hostname is None:
        return
    try:
        shown = ssl.get_server_certificate(
            (place.hostname, place.port or _HTTPS_PORT), timeout=_TIMEOUT_SECONDS
        )
    except OSError:
        return
    fix = "renew it, and start the server again"
    yield _check_expiry("https", f"the certificate of {place.netloc}", shown, fix)


def _known_names() -> set[str]:
    """Return the names of variables that are read, without their prefix."""
    groups = [
        group for group in get_type_hints(Settings).values() if issubclass(group, BaseSettings)
    ]
    read = {name.removeprefix(_PREFIX) for name in settings.variable_names(*groups)}
    return {*_OTHER_NAMES, *_CHECKOUT_NAMES} | read


def _check_expiry(what: str, name: str, chain_pem: str, fix: str) -> Finding:
    expires_at = signing_certificate.read_chain(chain_pem)[0].not_valid_after_utc
    left = expires_at - dt.datetime.now(dt.UTC)
    if left <= dt.timedelta():
        return fail(what, f"{name} expired on {expires_at:%Y-%m-%d}", fix)
    said = f"{name} expires on {expires_at:%Y-%m-%d}"
    return warn(what, said, fix) if left <= dt.timedelta(days=_WARN_DAYS) else ok(what, said)


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
