"""Make the test certificate with which a stack on one's own machine signs Content Credentials.

No list trusts it: readers show the credentials, and that their signer is unknown.
"""

import datetime as dt
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.security import signing_certificate

_CERTIFICATE, _KEY = "c2pa-certificate.pem", "c2pa-key.pem"
_ORGANIZATION: Final = "Smart Filter, a test certificate of this machine"
_VALID_DAYS: Final = 3650
# Clocks of readers may be late.
_CLOCK_MARGIN: Final = dt.timedelta(hours=1)


def keep(folder: DataFolder) -> dict[str, str]:
    """Return the variables of the folder's test certificate; make it if there is no valid one."""
    names = (_CERTIFICATE, _KEY)
    try:
        certificate, key = ((folder.path / "secrets" / name).read_text() for name in names)
        signing_certificate.ensure_valid(certificate)
        signing_certificate.ensure_pair(certificate, key)
    except (OSError, ValueError, SetupFailed):
        certificate, key = make(now=dt.datetime.now(dt.UTC))
        for name, text in zip(names, (certificate, key), strict=True):
            folder.replace_secret(name, text)
    return {signing_certificate.CERTIFICATE: certificate, signing_certificate.KEY: key}


def make(*, now: dt.datetime, days: int = _VALID_DAYS) -> tuple[str, str]:
    """Return a signing certificate with its authority's, and its key, in PEM.

    The authority's key is dropped, so that it signs nothing else.
    """
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = (
        _begin("authority", "authority", authority_key, now=now, days=days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    signing = (
        _begin("signer", "authority", key, now=now, days=days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        # Source: C2PA 2.2, 14.5.1.1: one of the usages that claim signers may have.
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False
        )
        .add_extension(issuer, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    chain = b"".join(one.public_bytes(pem) for one in (signing, authority))
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return chain.decode(), secret.decode()


def _begin(
    subject: str,
    issuer: str,
    key: ec.EllipticCurvePrivateKey,
    *,
    now: dt.datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_MARGIN)
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Smart Filter test {common}"),
        ]
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
