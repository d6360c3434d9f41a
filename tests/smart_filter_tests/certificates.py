"""Certificates that sign Content Credentials in tests."""

import datetime as dt
import functools

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from smart_filter_deploy.embedded import c2pa_certificate
from smart_filter_shared.config.settings import ProvenanceSettings
from smart_filter_shared.security.signing_certificate import CERTIFICATE, KEY


@functools.cache
def a_pair(*, days_ago: int = 0, days: int = 3650) -> tuple[str, str]:
    """Return a certificate that was made some days ago, and its key."""
    made = dt.datetime.now(dt.UTC) - dt.timedelta(days=days_ago)
    return c2pa_certificate.make(now=made, days=days)


def an_expired_pair() -> tuple[str, str]:
    return a_pair(days_ago=30, days=20)


def a_web_server_pair() -> tuple[str, str]:
    """Return a certificate for TLS, with which nothing else can be signed, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "photos.example.com")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(pem).decode(), secret.decode()


def environment(pair: tuple[str, str]) -> dict[str, str]:
    return dict(zip((CERTIFICATE, KEY), pair, strict=True))


def settings(pair: tuple[str, str]) -> ProvenanceSettings:
    certificate, key = pair
    return ProvenanceSettings.model_validate({"certificate": certificate, "key": key})
