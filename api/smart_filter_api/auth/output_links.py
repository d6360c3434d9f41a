"""Sign URLs that open one output of a job without a key, and verify them.

A signature is the HMAC-SHA256 (RFC 2104) of everything that the link grants, in base64url. Its keys
are derived from the service's secrets, each with a purpose of its own (RFC 5869, 2.2: extraction
with a salt), so a signature of another kind is never valid here.
"""

import base64
import datetime as dt
import hmac
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.recipe import Output

# Shorter links end before a slow phone has opened them; longer ones outlive the results' default
# retention of a week.
MIN_SECONDS: Final = 60
MAX_SECONDS: Final = 7 * 24 * 3600

_PURPOSE: Final = b"smart-filter: output links"
# Expiries move in steps of a sixtieth of the lifetime, counted from the job's end: links made
# shortly after each other are equal, so caches and ETags of jobs recognize them.
_STEPS: Final = 60


@dataclass(frozen=True, slots=True)
class LinkTarget:
    """What a link grants: one output of one job, until a time.

    expires: Unix time in seconds.  download: `1` or a file name to save the output under; None:
    browsers show the output.
    """

    tenant: Tenant
    job_id: JobId
    output: str
    expires: int
    download: str | None = None


class LinkSigner:
    """Signs links with the first of several keys, and verifies them with all."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Derive the signing keys.  keys: at least one unguessable text."""
        self._keys = [hmac.digest(_PURPOSE, key.encode(), "sha256") for key in keys]

    def sign(self, target: LinkTarget) -> str:
        """Return the signature of a target."""
        return _signature(self._keys[0], target)

    def is_valid(self, target: LinkTarget, signature: str) -> bool:
        """Whether one of the keys has signed this target; its expiry is not judged."""
        # Compare with all keys, so that the time does not depend on the key that fits.
        fits = [
            hmac.compare_digest(_signature(key, target).encode(), signature.encode())
            for key in self._keys
        ]
        return any(fits)


@dataclass(frozen=True, slots=True)
class SignedLinks:
    """The signed URLs of a job's outputs, and the time at which they end."""

    urls: dict[Output, str]
    expires_at: dt.datetime


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True, slots=True)
class LinkTerms:
    """How the links of an answer are made.

    base_url: scheme and host of the API, empty when they are not known.  default_seconds: lifetime
    for jobs without their own.  seconds: lifetime that the request asks for.  download: as in
    `LinkTarget`.
    """

    signer: LinkSigner
    base_url: str
    default_seconds: int
    seconds: int | None = None
    download: str | None = None
    clock: Callable[[], dt.datetime] = _utc_now

    def sign(
        self,
        tenant: Tenant,
        job_id: JobId,
        outputs: Iterable[Output],
        *,
        finished_at: dt.datetime,
        job_seconds: int | None,
    ) -> SignedLinks:
        """Return the signed URLs of outputs of a job.

        job_seconds: the lifetime of the job's links, unless the request asks for another.
        """
        seconds = self.seconds or job_seconds or self.default_seconds
        step = seconds // _STEPS
        since = int(finished_at.timestamp())
        passed = int(self.clock().timestamp()) - since
        expires = since + passed // step * step + seconds
        return SignedLinks(
            {
                output: self._url(LinkTarget(tenant, job_id, output, expires, self.download))
                for output in outputs
            },
            dt.datetime.fromtimestamp(expires, dt.UTC),
        )

    def _url(self, target: LinkTarget) -> str:
        granted = {"expires": str(target.expires)}
        if target.download is not None:
            granted["download"] = target.download
        query = urlencode({**granted, "signature": self.signer.sign(target)})
        return f"{self.base_url}/v1/jobs/{target.job_id}/outputs/{target.output}?{query}"


def _signature(key: bytes, target: LinkTarget) -> str:
    granted = [
        target.tenant,
        str(target.job_id),
        target.output,
        target.expires,
        target.download,
    ]
    # JSON separates the parts unambiguously.
    digest = hmac.digest(key, json.dumps(granted).encode(), "sha256")
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
