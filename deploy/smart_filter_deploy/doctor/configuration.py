"""Check the settings: variables that no program reads, and certificates that expire."""

import datetime as dt
import os
import re
import ssl
from collections.abc import Iterator, Mapping
from typing import Final, get_type_hints
from urllib.parse import urlsplit

from pydantic_settings import BaseSettings

from smart_filter_deploy.doctor.findings import Finding, fail, ok, warn
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
