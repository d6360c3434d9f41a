"""Tells whether what came to a webhook is genuine, by Standard Webhooks 1.0.0, scheme v1."""

import base64
import binascii
import datetime as dt
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence

from smart_filter_client.errors import NotGenuine, UnexpectedAnswer
from smart_filter_client.models import Event, event_from

# Source: Standard Webhooks 1.0.0, "Signature scheme", and its reference verifiers.
TOLERANCE = dt.timedelta(minutes=5)
_SECRET = "whsec_"  # noqa: S105  # what secrets begin with
_SCHEME = "v1"


def verify_webhook(
    secret: str | Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    *,
    tolerance: dt.timedelta = TOLERANCE,
    now: dt.datetime | None = None,
) -> Event:
    """Return what a request to a webhook tells, if it is genuine.

    secret: `whsec_…`, or several: whoever rotates knows two for a while.
    headers: of the request, their names in any case.  body: its bytes as they came, before
        anything has parsed them.
    tolerance: how far its time may be from `now`, by default this machine's, so that a request
        that somebody has kept is of no use later.
    Keep `id` of the last days: the same event may come more than once.
    Raises NotGenuine; UnexpectedAnswer for what is, but tells nothing that can be read;
    ValueError for what is no secret.
    """
    secrets = [_key(one) for one in ([secret] if isinstance(secret, str) else secret)]
    told = {name.lower(): value for name, value in headers.items()}
    event_id, timestamp = told.get("webhook-id", ""), told.get("webhook-timestamp", "")
    if not event_id or not timestamp or not told.get("webhook-signature"):
        raise NotGenuine("webhook-id, webhook-timestamp or webhook-signature is missing")
    _check_time(timestamp, tolerance, now or dt.datetime.now(dt.UTC))
    signed = b"%b.%b.%b" % (event_id.encode(), timestamp.encode(), body)
    wanted = [hmac.new(key, signed, hashlib.sha256).digest() for key in secrets]
    found = _signatures(told["webhook-signature"])
    # Every pair is compared, each in constant time, so that nothing is learned from how long.
    matches = [hmac.compare_digest(one, other) for one in wanted for other in found]
    if not any(matches):
        raise NotGenuine("no signature is of this secret and body")
    try:
        return event_from(json.loads(body), event_id)
    except ValueError as error:
        raise UnexpectedAnswer(f"a webhook's body is not JSON ({error})") from error


def _check_time(text: str, tolerance: dt.timedelta, now: dt.datetime) -> None:
    if not (text.isascii() and text.isdigit()):
        raise NotGenuine("webhook-timestamp is no number of seconds")
    try:
        sent = dt.datetime.fromtimestamp(int(text), dt.UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise NotGenuine("webhook-timestamp is no time") from error
    if abs(now - sent) > tolerance:
        raise NotGenuine(f"sent at {sent:%Y-%m-%dT%H:%M:%SZ}, which is too long from now")


def _signatures(text: str) -> list[bytes]:
    """Return the signatures of our scheme; those of others and broken ones are passed over."""
    found = []
    for word in text.split(" "):
        scheme, _, encoded = word.partition(",")
        try:
            signature = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            continue
        if scheme == _SCHEME:
            found.append(signature)
    return found


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_SECRET), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ValueError("a webhook's secret is whsec_ and base64")
    return key
