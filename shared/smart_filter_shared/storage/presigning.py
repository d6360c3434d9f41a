"""Links that let somebody put one object, of one length and type.

minio-py signs the host alone, so that its links take anything of any size. Here length and type
are signed as well: the server refuses whatever differs from them.

Source: AWS Signature Version 4, "Authenticating requests: using query parameters".
"""

import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlsplit

from smart_filter_shared.settings import StorageSettings

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
    """Return a link to put an object, valid for so many seconds from `now` (aware, UTC).

    headers: what whoever puts it must send, by names in lower case.
    """
    place = urlsplit(settings.public_url or settings.url)
    path = quote(f"/{settings.bucket}/{key}", safe="/-._~")
    signed = {"host": place.netloc, **headers}
    names = ";".join(sorted(signed))
    scope = f"{now:%Y%m%d}/{settings.region}/s3/aws4_request"
    asked = {
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{settings.access_key.get_secret_value()}/{scope}",
        "X-Amz-Date": f"{now:%Y%m%dT%H%M%SZ}",
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": names,
    }
    query = "&".join(f"{_quoted(name)}={_quoted(asked[name])}" for name in sorted(asked))
    told = [f"{name}:{signed[name]}" for name in sorted(signed)]
    request = "\n".join(["PUT", path, query, *told, "", names, _PAYLOAD])
    digest = hashlib.sha256(request.encode()).hexdigest()
    to_sign = "\n".join([_ALGORITHM, asked["X-Amz-Date"], scope, digest])
    signature = _signed(_key(settings, scope), to_sign).hex()
    return f"{place.scheme}://{place.netloc}{path}?{query}&X-Amz-Signature={signature}"


def _key(settings: StorageSettings, scope: str) -> bytes:
    key = b"AWS4" + settings.secret_key.get_secret_value().encode()
    for part in scope.split("/"):
        key = _signed(key, part)
    return key


def _signed(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _quoted(text: str) -> str:
    return quote(text, safe="-._~")
