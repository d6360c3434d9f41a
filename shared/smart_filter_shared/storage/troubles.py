"""What keeps an object store from serving us, in one line that names the setting to correct."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

import urllib3.exceptions
from minio.error import InvalidResponseError, S3Error, ServerError

from smart_filter_shared.errors import BucketMissing, StorageRefused, StorageUnavailable
from smart_filter_shared.settings import StorageSettings

_URL: Final = "SMART_FILTER_STORAGE_URL"
_KEYS: Final = "SMART_FILTER_STORAGE_ACCESS_KEY and SMART_FILTER_STORAGE_SECRET_KEY"
_START: Final = f"start it, or correct {_URL}"
_ANOTHER: Final = f"correct {_URL}: its host, its port, and whether it is http or https"


@dataclass(frozen=True, slots=True)
class _Refusal:
    """What a code of S3 means, and what to do about it."""

    what: str
    remedy: str


_KEY = _Refusal("does not know the access key", "correct SMART_FILTER_STORAGE_ACCESS_KEY")
_SECRET = _Refusal(
    "says that the secret key is not that of the access key",
    "correct SMART_FILTER_STORAGE_SECRET_KEY",
)
_REGION = _Refusal("is of another region", "correct SMART_FILTER_STORAGE_REGION")
_RIGHTS = _Refusal(
    "does not let these keys use the bucket {bucket}",
    f"correct {_KEYS}, or give them the right to it",
)
_CLOCK = _Refusal(
    "has a clock that is far from this machine's", "have both machines set their clocks by NTP"
)
# Source: Amazon S3 API Reference, "Error responses".
_REFUSALS: Final[Mapping[str, _Refusal]] = MappingProxyType(
    {
        "InvalidAccessKeyId": _KEY,
        "SignatureDoesNotMatch": _SECRET,
        "AuthorizationHeaderMalformed": _REGION,
        "PermanentRedirect": _REGION,
        "IllegalLocationConstraintException": _REGION,
        "AccessDenied": _RIGHTS,
        "AllAccessDisabled": _RIGHTS,
        "RequestTimeTooSkewed": _CLOCK,
    }
)


def translated(error: Exception, settings: StorageSettings, *, about: str) -> StorageUnavailable:
    """Return an error of minio-py or urllib3 as one of ours, without keys and bodies of answers.

    about: the key that it was about, or the bucket.
    """
    if isinstance(error, S3Error):
        if error.code == "NoSuchBucket":
            return no_bucket(settings)
        refusal = _REFUSALS.get(error.code or "")
        if refusal is not None:
            what = refusal.what.format(bucket=settings.bucket)
            return StorageRefused(_line(settings, what, refusal.remedy))
        return StorageUnavailable(_line(settings, f"answers {error.code} for {about}", _START))
    if isinstance(error, InvalidResponseError):
        return StorageUnavailable(_line(settings, "answers as no S3 server does", _ANOTHER))
    if isinstance(error, ServerError):
        what = f"answers {error.status_code} for {about}"
        return StorageUnavailable(_line(settings, what, _START))
    return StorageUnavailable(_line(settings, *_unreached(error)))


def no_bucket(settings: StorageSettings) -> BucketMissing:
    """Return that the bucket is not there."""
    remedy = "run `smart-filter prepare`, or correct SMART_FILTER_STORAGE_BUCKET"
    return BucketMissing(_line(settings, f"has no bucket {settings.bucket}", remedy))


def _unreached(error: Exception) -> tuple[str, str]:
    """Return what kept us from an answer, and what to do about it."""
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, urllib3.exceptions.NameResolutionError):
        return "has a host that nobody knows", f"correct {_URL}"
    if isinstance(reason, urllib3.exceptions.SSLError):
        return _untrusted(reason.args[0])
    if isinstance(reason, urllib3.exceptions.NewConnectionError) and isinstance(
        reason.__cause__, OSError
    ):
        return f"does not answer ({reason.__cause__.strerror})", _START
    if isinstance(reason, (urllib3.exceptions.TimeoutError, TimeoutError)):
        return "does not answer in time", _START
    return f"broke the connection off ({type(reason).__name__})", _ANOTHER


def _untrusted(error: object) -> tuple[str, str]:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"has a certificate that is not trusted ({error.verify_message})",
            f"name its host in {_URL} as the certificate does, or its authority in SSL_CERT_FILE",
        )
    return "speaks no TLS", f"write http:// in {_URL}, or let it speak TLS"


def _line(settings: StorageSettings, what: str, remedy: str) -> str:
    return f"the object store at {urlsplit(settings.url).netloc} {what}; {remedy}"
