"""Make the test certificate with which a stack on one's own machine signs Content Credentials.

No list trusts it: readers show the credentials, and that their signer is unknown.

Run as a module with the data folder as argument, because the process that supervises the stack
should not hold the cryptography library (8 MB).
"""

import datetime as dt
import sys
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from smart_filter_deploy.embedded.folder import CERTIFICATE_SECRETS, DataFolder
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.security import signing_certificate

_ORGANIZATION: Final = "Smart Filter, a test certificate of this machine"
_VALID_DAYS: Final = 3650
# Clocks that are late still accept a new certificate.
_CLOCK_DIFFERENCE: Final = dt.timedelta(hours=1)


def keep(folder: DataFolder) -> None:
    """Make the folder's test certificate if there is no valid one."""
    try:
        certificate, key = folder.read_certificate().values()
        signing_certificate.ensure_valid(certificate)
        signing_certificate.ensure_pair(certificate, key)
    except (OSError, ValueError, SetupFailed):
        pair = make(now=dt.datetime.now(dt.UTC))
        for name, text in zip(CERTIFICATE_SECRETS.values(), pair, strict=True):
            folder.replace_secret(name, text)


def make(*, now: dt.datetime, days: int = _VALID_DAYS) -> tuple[str, str]:
    """Return a signing certificate with its authority's, and its key, in PEM.

    The authority's key is dropped, so that it signs nothing else.
    """
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    expires_at = now + dt.timedelta(days=days)
    authority = _begin_certificate(
        _name("authority"),
        _name("authority"),
        authority_key,
        now=now,
        expires_at=expires_at,
        is_authority=True,
    ).sign(authority_key, hashes.SHA256())
    signing = (
        _begin_certificate(
            _name("signer"),
            _name("authority"),
            key,
            now=now,
            expires_at=expires_at,
            is_authority=False,
        )
        # Source: C2PA 2.2, 14.5.1.1: one of the usages that claim signers may have.
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )
    chain = b"".join(
        certificate.public_bytes(serialization.Encoding.PEM) for certificate in (signing, authority)
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return chain.decode(), key_pem.decode()


def _begin_certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    *,
    now: dt.datetime,
    expires_at: dt.datetime,
    is_authority: bool,
) -> x509.CertificateBuilder:
    """Return an unsigned certificate of a key.

    is_authority: whether the key signs certificates, else it signs anything else.
    """
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_DIFFERENCE)
        .not_valid_after(expires_at)
        .add_extension(
            x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None),
            critical=True,
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=not is_authority,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=is_authority,
                crl_sign=is_authority,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Smart Filter test {common}"),
        ]
    )


if __name__ == "__main__":
    keep(DataFolder(Path(sys.argv[1])))
