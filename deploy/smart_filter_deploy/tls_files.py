"""Find a server's certificate and key, and name their faults before the server starts."""

import datetime as dt
import ssl
from dataclasses import dataclass
from pathlib import Path

from smart_filter_shared.errors import SetupFailed


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A server's certificate, followed by its chain to the CA, and its key; both PEM."""

    certificate: Path
    key: Path


def find(certificate: Path | None, key: Path | None, *, now: dt.datetime) -> TlsFiles | None:
    """Return the files of a server; None when neither is given.

    Raises SetupFailed with one line when a server cannot use them.
    """
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise SetupFailed(
            "--tls-certificate and --tls-key go together: give both, or neither to serve http"
        )
    for path, kind in ((certificate, "certificate"), (key, "key")):
        try:
            path.read_bytes()
        except OSError as error:
            raise SetupFailed(
                f"the {kind} {path} cannot be read ({error.strerror}): name a file that this user"
                " can read"
            ) from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Without a password, OpenSSL would ask for one on the terminal.
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            fault = f"{key} is not the key of {certificate}"
        else:
            fault = f"{certificate} and {key} are not a certificate and its unencrypted key in PEM"
        raise SetupFailed(f"{fault}: name the files that belong together") from error
    _refuse_unusable(certificate, now)
    return TlsFiles(certificate.absolute(), key.absolute())


def _refuse_unusable(certificate: Path, now: dt.datetime) -> None:
    """Raise SetupFailed for a certificate that no client accepts."""
    # Imported here, because the API without TLS does not need it: 0.1 s.
    from cryptography import x509  # noqa: PLC0415

    leaf = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    if leaf.not_valid_after_utc <= now:
        raise SetupFailed(
            f"the certificate {certificate} expired on {leaf.not_valid_after_utc:%Y-%m-%d}: renew"
            " it"
        )
    if leaf.not_valid_before_utc > now:
        raise SetupFailed(
            f"the certificate {certificate} is valid from {leaf.not_valid_before_utc:%Y-%m-%d} on:"
            " correct this machine's clock"
        )
    try:
        leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound as error:
        raise SetupFailed(
            f"the certificate {certificate} names no host, so that clients reject it: make one"
            " with a subjectAltName"
        ) from error
