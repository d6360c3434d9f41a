"""Translate errors of the object store into one line that names the setting to correct."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import urllib3.exceptions
from minio.error import InvalidResponseError, S3Error, ServerError

from smart_filter_shared.config.settings import StorageSettings
from smart_filter_shared.errors import BucketMissing, StorageMisconfigured, StorageUnavailable

# The messages name the variables of the service's storage; S3 folders have others.
_STORAGE: Final = "SMART_FILTER_STORAGE"
_URL: Final = f"{_STORAGE}_URL"
_KEYS: Final = "SMART_FILTER_STORAGE_ACCESS_KEY and SMART_FILTER_STORAGE_SECRET_KEY"
_START_REMEDY: Final = f"start it, or correct {_URL}"
# Stores say `InternalError` for a full volume.
_REPAIR_REMEDY: Final = "read its log, and free space on its volume if that is full"
_URL_REMEDY: Final = f"correct {_URL}: its host, its port, and whether it is http or https"


@dataclass(frozen=True, slots=True)
class _Refusal:
    """The meaning of an S3 error code, and the remedy."""

    what: str
    remedy: str


_KEY = _Refusal("does not know the access key", "correct SMART_FILTER_STORAGE_ACCESS_KEY")
_SECRET = _Refusal(
    "reports that the secret key does not belong to the access key",
    "correct SMART_FILTER_STORAGE_SECRET_KEY",
)
_REGION = _Refusal("is in another region", "correct SMART_FILTER_STORAGE_REGION")
_RIGHTS = _Refusal(
    "does not let these keys use the bucket {bucket}",
    f"correct {_KEYS}, or grant them access to it",
)
_CLOCK = _Refusal(
    "has a clock that differs from this machine's", "synchronize both machines' clocks with NTP"
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


def translate_error(
    error: Exception, settings: StorageSettings, *, about: str
) -> StorageUnavailable:
    """Translate an error of minio-py or urllib3, without access keys and response bodies.

    about: the object's key, or the bucket, for the message.
    """
    if isinstance(error, S3Error):
        if error.code == "NoSuchBucket":
            return no_bucket(settings)
        refusal = _REFUSALS.get(error.code or "")
        if refusal is not None:
            what = refusal.what.format(bucket=settings.bucket)
            return StorageMisconfigured(_line(settings, what, refusal.remedy))
        return StorageUnavailable(
            _line(settings, f"answers {error.code} for {about}", _REPAIR_REMEDY)
        )
    if isinstance(error, (InvalidResponseError, ET.ParseError)):
        return StorageUnavailable(_line(settings, "does not answer like S3", _URL_REMEDY))
    if isinstance(error, ServerError):
        what = f"answers {error.status_code} for {about}"
        return StorageUnavailable(_line(settings, what, _REPAIR_REMEDY))
    return StorageUnavailable(_line(settings, *_describe_connection_error(error)))


def is_timeout(error: Exception) -> bool:
    """Return whether the server was silent, or slower than a transfer may be."""
    reason = getattr(error, "reason", None) or error
    return isinstance(reason, (urllib3.exceptions.TimeoutError, TimeoutError))


def no_bucket(settings: StorageSettings) -> BucketMissing:
    """Return the error for a missing bucket."""
    remedy = f"create it, or correct {settings.variables}_FOLDERS"
    if settings.variables == _STORAGE:
        remedy = "run `smart-filter prepare`, or correct SMART_FILTER_STORAGE_BUCKET"
    return BucketMissing(_line(settings, f"has no bucket {settings.bucket}", remedy))


def _describe_connection_error(error: Exception) -> tuple[str, str]:
    """Return why the server did not answer, and the remedy."""
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, urllib3.exceptions.NameResolutionError):
        return "has an unknown host name", f"correct {_URL}"
    if isinstance(reason, urllib3.exceptions.SSLError):
        return _describe_tls_error(reason.args[0])
    if isinstance(reason, urllib3.exceptions.NewConnectionError) and isinstance(
        reason.__cause__, OSError
    ):
        return f"does not answer ({reason.__cause__.strerror})", _START_REMEDY
    if is_timeout(error):
        return "does not answer in time", _START_REMEDY
    return f"closed the connection ({type(reason).__name__})", _URL_REMEDY


def _describe_tls_error(error: object) -> tuple[str, str]:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"has a certificate that is not trusted ({error.verify_message})",
            f"name its host in {_URL} as the certificate does, or its CA in SSL_CERT_FILE",
        )
    return "does not use TLS", f"write http:// in {_URL}, or enable TLS on the server"


def _line(settings: StorageSettings, what: str, remedy: str) -> str:
    remedy = remedy.replace(_STORAGE, settings.variables)
    return f"the object store at {urlsplit(settings.url).netloc} {what}; {remedy}"
