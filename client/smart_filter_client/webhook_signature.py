"""Verify requests to a webhook, by Standard Webhooks 1.0.0, scheme v1."""

import base64
import binascii
import datetime as dt
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence

from smart_filter_client.errors import NotGenuine, UnexpectedAnswer
from smart_filter_client.models import Event, read_event

# Source: Standard Webhooks 1.0.0, "Signature scheme", and its reference verifiers.
DEFAULT_TOLERANCE = dt.timedelta(minutes=5)
_SECRET_PREFIX = "whsec_"  # noqa: S105  # the prefix of secrets
_SCHEME = "v1"


def verify_webhook(
    secret: str | Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    *,
    tolerance: dt.timedelta = DEFAULT_TOLERANCE,
    now: dt.datetime | None = None,
) -> Event:
    """Return the event of a webhook request, if its signature is valid.

    secret: `whsec_…`, or several: after a rotation two are valid for a while.
    headers: of the request, their names in any case.  body: its raw bytes, before any parsing.
    tolerance: maximum difference between its time and `now`, by default this machine's clock, so
        that a recorded request cannot be replayed later.
    Store `id` for some days: the same event can come more than once.
    Raises NotGenuine; UnexpectedAnswer for a genuine request with an unreadable body;
    ValueError for a malformed secret.
    """
    secrets = [_decode_secret(text) for text in ([secret] if isinstance(secret, str) else secret)]
    by_name = {name.lower(): value for name, value in headers.items()}
    event_id, timestamp = by_name.get("webhook-id", ""), by_name.get("webhook-timestamp", "")
    if not event_id or not timestamp or not by_name.get("webhook-signature"):
        raise NotGenuine("webhook-id, webhook-timestamp or webhook-signature is missing")
    _check_time(timestamp, tolerance, now or dt.datetime.now(dt.UTC))
    signed = b"%b.%b.%b" % (event_id.encode(), timestamp.encode(), body)
    wanted = [hmac.new(key, signed, hashlib.sha256).digest() for key in secrets]
    sent = _parse_signatures(by_name["webhook-signature"])
    # Every pair is compared in constant time, so that the duration reveals nothing.
    matches = [hmac.compare_digest(expected, other) for expected in wanted for other in sent]
    if not any(matches):
        raise NotGenuine("no signature matches this secret and body")
    try:
        return read_event(json.loads(body), event_id)
    except ValueError as error:
        raise UnexpectedAnswer(f"a webhook's body is not JSON ({error})") from error


def _check_time(text: str, tolerance: dt.timedelta, now: dt.datetime) -> None:
    if not (text.isascii() and text.isdigit()):
        raise NotGenuine("webhook-timestamp is not a number of seconds")
    try:
        sent = dt.datetime.fromtimestamp(int(text), dt.UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise NotGenuine("webhook-timestamp is not a valid time") from error
    if abs(now - sent) > tolerance:
        raise NotGenuine(f"sent at {sent:%Y-%m-%dT%H:%M:%SZ}, which is outside the tolerance")


def _parse_signatures(text: str) -> list[bytes]:
    """Return the signatures of scheme v1; other and malformed ones are skipped."""
    signatures = []
    for word in text.split(" "):
        scheme, _, encoded = word.partition(",")
        try:
            signature = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            continue
        if scheme == _SCHEME:
            signatures.append(signature)
    return signatures


def _decode_secret(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ValueError("a webhook's secret must be whsec_ and base64")
    return key
