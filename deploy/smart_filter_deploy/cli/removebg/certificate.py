"""Make a private certificate authority (CA), and certificates of a server that it signs.

The CA can certify only the host names that it was made for (RFC 5280, 4.2.1.10): a client that
trusts it trusts it for nothing else.

    ca.pem                  the CA's certificate, which clients trust; 0644
    ca.key                  the CA's key, which signs renewals; 0600
    server.pem, server.key  the server's certificate, 0644, and its key, 0600
"""

import datetime as dt
import ipaddress
import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from smart_filter_deploy.certificates import begin_certificate, encode_key
from smart_filter_deploy.cli.removebg import REMOVE_BG_HOST
from smart_filter_shared.errors import SetupFailed

CA_FILE, SERVER_FILE, SERVER_KEY_FILE = "ca.pem", "server.pem", "server.key"
_CA_KEY_FILE: Final = "ca.key"
# Clients trust a CA once, so it outlives some certificates.
_CA_DAYS: Final = 5 * 365
# Apple's limit for the certificates of servers.  Source: support.apple.com/103769.
MAX_SERVER_DAYS: Final = 825
_MAX_HOST_LENGTH: Final = 253
_LABEL: Final = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
# A constraint covers every name below it, so a single label would cover a top-level domain.
_HOST: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*\.[a-z]([a-z0-9-]{{0,61}}[a-z0-9])?")
_NO_ADDRESSES: Final = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A server's certificate in a folder.

    hosts: the names that it is for.  is_new_ca: whether the CA was made with it, so that clients do
    not trust it yet.  expires_at, ca_expires_at: UTC.
    """

    folder: Path
    hosts: tuple[str, ...]
    is_new_ca: bool
    expires_at: dt.datetime
    ca_expires_at: dt.datetime


@dataclass(frozen=True, slots=True)
class _Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    hosts: tuple[str, ...]
    is_new: bool


def normalize_host(text: str) -> str:
    """Return a host name in lower case.  Raises ValueError, which names the expected form."""
    host = text.strip().lower()
    if not _HOST.fullmatch(host) or len(host) > _MAX_HOST_LENGTH:
        raise ValueError(f"{text!r} is not a host name with a domain such as photos.example.com")
    return host


def issue(
    folder: Path, *, hosts: Sequence[str], server_days: int, now: dt.datetime
) -> IssuedCertificate:
    """Make a server's certificate in a folder; make the CA first unless the folder has one.

    hosts: names in addition to api.remove.bg.  With a CA, they must be among the names that it was
    made for, and the certificate is for all of those.
    Raises SetupFailed when the folder cannot be written, or has a CA that cannot sign this.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        authority = _read_authority(folder, now) or _make_authority(
            folder, tuple(dict.fromkeys((REMOVE_BG_HOST, *hosts))), now
        )
        missing = [host for host in hosts if host not in authority.hosts]
        if missing:
            raise SetupFailed(
                f"the CA in {folder} is only for {', '.join(authority.hosts)}: to add"
                f" {', '.join(missing)}, choose another folder, and let clients trust its CA"
            )
        expires_at = _sign_server(folder, authority, server_days, now)
    except OSError as error:
        raise SetupFailed(
            f"{error.filename or folder} cannot be used ({error.strerror}): choose another folder"
        ) from error
    return IssuedCertificate(
        folder=folder,
        hosts=authority.hosts,
        is_new_ca=authority.is_new,
        expires_at=expires_at,
        ca_expires_at=authority.certificate.not_valid_after_utc,
    )


def _read_authority(folder: Path, now: dt.datetime) -> _Authority | None:
    """Return the CA in a folder; None when there is none."""
    there = [name for name in (CA_FILE, _CA_KEY_FILE) if (folder / name).exists()]
    if not there:
        return None
    if len(there) == 1:
        (missing,) = {CA_FILE, _CA_KEY_FILE} - set(there)
        raise SetupFailed(
            f"{folder / missing} is missing next to {there[0]}: restore it, or choose another"
            " folder for a new CA, which clients must trust again"
        )
    unusable = f"the CA in {folder} cannot be used ({{}}): choose another folder for a new one"
    try:
        certificate = x509.load_pem_x509_certificate((folder / CA_FILE).read_bytes())
        key = serialization.load_pem_private_key((folder / _CA_KEY_FILE).read_bytes(), None)
        allowed = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except (ValueError, TypeError, x509.ExtensionNotFound) as error:
        raise SetupFailed(unusable.format("it was not made by this command")) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or (
        key.public_key() != certificate.public_key()
    ):
        raise SetupFailed(unusable.format(f"{_CA_KEY_FILE} is the key of another certificate"))
    if certificate.not_valid_after_utc <= now:
        raise SetupFailed(unusable.format(f"expired {certificate.not_valid_after_utc:%Y-%m-%d}"))
    hosts = tuple(str(subtree.value) for subtree in allowed.permitted_subtrees or ())
    return _Authority(certificate, key, hosts, is_new=False)


def _make_authority(folder: Path, hosts: tuple[str, ...], now: dt.datetime) -> _Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    # The suffix keeps apart the CAs that a client has come to trust.
    name = _name(f"Smart Filter CA for {hosts[0]} {secrets.token_hex(4)}")
    certificate = (
        begin_certificate(
            name,
            name,
            key,
            now=now,
            expires_at=now + dt.timedelta(days=_CA_DAYS),
            is_authority=True,
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.NameConstraints(
                permitted_subtrees=[x509.DNSName(host) for host in hosts],
                # A constraint of names says nothing about certificates for addresses.
                excluded_subtrees=[x509.IPAddress(every) for every in _NO_ADDRESSES],
            ),
            critical=True,
        )
        .sign(key, hashes.SHA256())
    )
    _write(folder / _CA_KEY_FILE, encode_key(key), 0o600)
    _write(folder / CA_FILE, _pem(certificate), 0o644)
    return _Authority(certificate, key, hosts, is_new=True)


def _sign_server(folder: Path, authority: _Authority, days: int, now: dt.datetime) -> dt.datetime:
    """Write a new key and its certificate; return when it expires."""
    key = ec.generate_private_key(ec.SECP256R1())
    expires_at = min(now + dt.timedelta(days=days), authority.certificate.not_valid_after_utc)
    certificate = (
        begin_certificate(
            _name(authority.hosts[0]),
            authority.certificate.subject,
            key,
            now=now,
            expires_at=expires_at,
            is_authority=False,
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(host) for host in authority.hosts]),
            critical=False,
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()),
            critical=False,
        )
        .sign(authority.key, hashes.SHA256())
    )
    _write(folder / SERVER_KEY_FILE, encode_key(key), 0o600)
    _write(folder / SERVER_FILE, _pem(certificate), 0o644)
    return certificate.not_valid_after_utc


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Replace a file at once, so that a reader never sees a part of it."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
