"""Read and check the certificate that signs Content Credentials, and its key.

Source: C2PA 2.2, 14.5.1: the algorithms, and the extended key usages that a certificate needs.
"""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from smart_filter_shared.errors import SetupFailed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.x509 import Certificate

    SigningKey: TypeAlias = (
        "ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey"
    )

CERTIFICATE: Final = "SMART_FILTER_C2PA_CERTIFICATE"
KEY: Final = "SMART_FILTER_C2PA_KEY"
_REMEDY: Final = "docs/provenance.md says how to get one"
_CURVES: Final = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


def read_chain(pem: str) -> "Sequence[Certificate]":
    """Return the certificates of a chain, the signing one first.  Raises ValueError."""
    # Imported here and below: it takes 30 ms, and most processes have no certificate.
    from cryptography import x509  # noqa: PLC0415

    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise ValueError("holds no certificate in PEM") from None


def read_key(pem: str) -> "SigningKey":
    """Return a private key.  Raises ValueError, whose message repeats no part of it."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("holds no private key in PEM without a password") from None
    return cast("SigningKey", key)


def algorithm_of(key: "SigningKey") -> str:
    """Return the C2PA algorithm of a key, such as `es256`.  Raises ValueError for another key."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: PLC0415

    match key:
        case ec.EllipticCurvePrivateKey() if key.curve.name in _CURVES:
            return _CURVES[key.curve.name]
        case rsa.RSAPrivateKey():
            return "ps256"
        case ed25519.Ed25519PrivateKey():
            return "ed25519"
    raise ValueError("is not a key of P-256, P-384, P-521, RSA or Ed25519")


def ensure_valid(chain_pem: str) -> None:
    """Check that a signing certificate is valid now.  Raises SetupFailed with one line."""
    now = dt.datetime.now(dt.UTC)
    certificate = read_chain(chain_pem)[0]
    if now > certificate.not_valid_after_utc:
        day = certificate.not_valid_after_utc.date()
        raise SetupFailed(f"{CERTIFICATE} expired on {day}; set a new one, or unset it: {_REMEDY}")
    if now < certificate.not_valid_before_utc:
        raise SetupFailed(
            f"{CERTIFICATE} is valid only from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M}"
            " UTC on; set another one, or the clock of this machine"
        )


def ensure_pair(chain_pem: str, key_pem: str) -> None:
    """Check that a key is the signing certificate's.  Raises SetupFailed with one line."""
    key = read_key(key_pem)
    try:
        algorithm_of(key)
    except ValueError as error:
        raise SetupFailed(f"{KEY} {error}; {_REMEDY}") from None
    if read_chain(chain_pem)[0].public_key() != key.public_key():
        raise SetupFailed(
            f"{KEY} is not the key of the first certificate in {CERTIFICATE}; set the pair, the"
            " signing certificate first"
        )
