"""Presign URLs to put one object of a given length and type.

minio-py signs only the host, so its URLs accept any content of any size. This module also signs
length and type, so the server rejects an upload that differs.

Source: AWS Signature Version 4, "Authenticating requests: using query parameters".
"""

import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlsplit

from smart_filter_shared.config.settings import StorageSettings

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_PAYLOAD: Final = "UNSIGNED-PAYLOAD"


def presigned_put(
    settings: StorageSettings,
    key: str,
    *,
    headers: Mapping[str, str],
    seconds: int,
    now: dt.datetime,
) -> str:
    """Return a presigned URL to put an object, valid for `seconds` from `now` (aware, UTC).

    The settings' `upload_keys` sign it.
    headers: the headers that the upload must send, by lower-case name.
    """
    place = urlsplit(settings.public_url or settings.url)
    access_key, secret_key = settings.upload_keys
    path = quote(f"/{settings.bucket}/{key}", safe="/-._~")
    signed = {"host": place.netloc, **headers}
    names = ";".join(sorted(signed))
    scope = f"{now:%Y%m%d}/{settings.region}/s3/aws4_request"
    parameters = {
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{access_key}/{scope}",
        "X-Amz-Date": f"{now:%Y%m%dT%H%M%SZ}",
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": names,
    }
    query = "&".join(
        f"{_percent_encode(name)}={_percent_encode(parameters[name])}"
        for name in sorted(parameters)
    )
    header_lines = [f"{name}:{signed[name]}" for name in sorted(signed)]
    request = "\n".join(["PUT", path, query, *header_lines, "", names, _PAYLOAD])
    digest = hashlib.sha256(request.encode()).hexdigest()
    to_sign = "\n".join([_ALGORITHM, parameters["X-Amz-Date"], scope, digest])
    signature = _sign(_derive_key(secret_key, scope), to_sign).hex()
    return f"{place.scheme}://{place.netloc}{path}?{query}&X-Amz-Signature={signature}"


def _derive_key(secret_key: str, scope: str) -> bytes:
    key = b"AWS4" + secret_key.encode()
    for part in scope.split("/"):
        key = _sign(key, part)
    return key


def _sign(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _percent_encode(text: str) -> str:
    return quote(text, safe="-._~")
