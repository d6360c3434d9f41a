"""Signed URLs that open one output of a job without a key."""

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from smart_filter_api.auth.link_signer import LinkSigner
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
    """The access that a link grants: one output of one job, until a time.

    expires: Unix time in seconds.  download: `1` or a file name to save the output under; None:
    browsers show the output.
    """

    tenant: Tenant
    job_id: JobId
    output: str
    expires: int
    download: str | None = None

    @property
    def purpose(self) -> bytes:
        """The purpose of all links of this kind."""
        return _PURPOSE

    @property
    def granted(self) -> list[str | int | None]:
        """The parts of the grant."""
        return [self.tenant, str(self.job_id), self.output, self.expires, self.download]


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
                output: output_url(
                    self.signer,
                    self.base_url,
                    LinkTarget(tenant, job_id, output, expires, self.download),
                )
                for output in outputs
            },
            dt.datetime.fromtimestamp(expires, dt.UTC),
        )


def output_url(signer: LinkSigner, base_url: str, target: LinkTarget) -> str:
    """Return the signed URL of a target.  base_url: scheme and host of the API, or empty."""
    granted = {"expires": str(target.expires)}
    if target.download is not None:
        granted["download"] = target.download
    query = urlencode({**granted, "signature": signer.sign(target)})
    return f"{base_url}/v1/jobs/{target.job_id}/outputs/{target.output}?{query}"
