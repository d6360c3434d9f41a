"""Check when the certificates of Content Credentials and of https expire."""

import datetime as dt
import ssl
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from smart_filter_deploy.doctor.findings import Finding, fail, ok, warn
from smart_filter_shared.security import signing_certificate

# Time to renew a certificate: Let's Encrypt renews its own at the same distance.
_WARN_DAYS: Final = 30
_TIMEOUT_SECONDS: Final = 3.0
_HTTPS_PORT: Final = 443


def check_signature(chain_pem: str | None) -> Iterator[Finding]:
    """Check the certificate that signs Content Credentials; None: there is none."""
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
    fix = "renew it, for `up` with `smart-filter removebg certificate`, and start the server again"
    yield _check_expiry("https", f"the certificate of {place.netloc}", shown, fix)


def _check_expiry(what: str, name: str, chain_pem: str, fix: str) -> Finding:
    expires_at = signing_certificate.read_chain(chain_pem)[0].not_valid_after_utc
    left = expires_at - dt.datetime.now(dt.UTC)
    if left <= dt.timedelta():
        return fail(what, f"{name} expired on {expires_at:%Y-%m-%d}", fix)
    said = f"{name} expires on {expires_at:%Y-%m-%d}"
    return warn(what, said, fix) if left <= dt.timedelta(days=_WARN_DAYS) else ok(what, said)
