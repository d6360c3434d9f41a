"""Signed links that work without a key: to one output of a job, and for one upload.

A signature is the HMAC-SHA256 (RFC 2104) of everything that the link grants, in base64url. Its keys
are derived from the service's secrets, one for each kind of link (RFC 5869, 2.2: extraction with a
salt), so a signature of another kind is never valid.
"""

import base64
import datetime as dt
import hmac
import ipaddress
import json
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar
from urllib.parse import urlencode

from fastapi import Request

from smart_filter_shared.artifacts.uploads import Upload
from smart_filter_shared.errors import LinkExpired, LinkInvalid
from smart_filter_shared.ids import JobId, Tenant, UploadId
from smart_filter_shared.recipe import Output

_UNIX_TIME: Final = re.compile("[0-9]{1,12}")
# 32 bytes in base64url, without padding.
_SIGNATURE: Final = re.compile("[A-Za-z0-9_-]{43}")

_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")
# Domains of local networks: RFC 6761 (localhost), RFC 6762 (local), RFC 8375, and by usage.
_LOCAL_DOMAINS: Final = (".localhost", ".local", ".home.arpa", ".internal", ".lan")


class LinkGrant(Protocol):
    """The access that a link grants."""

    @property
    def purpose(self) -> bytes:
        """The purpose of all links of this kind."""
        ...

    @property
    def expires(self) -> int:
        """When the link ends, in seconds of Unix time."""
        ...

    @property
    def granted(self) -> Sequence[str | int | None]:
        """The parts of the grant, as JSON knows them."""
        ...


Grant = TypeVar("Grant", bound=LinkGrant)


class LinkSigner:
    """Signs links with the first of several keys, and verifies them with all."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Keep the keys.  keys: at least one unguessable text."""
        self._keys = [key.encode() for key in keys]

    def sign(self, grant: LinkGrant) -> str:
        """Return the signature of a grant."""
        return _signature(self._keys[0], grant)

    def is_valid(self, grant: LinkGrant, signature: str) -> bool:
        """Whether one of the keys has signed this grant; its expiry is not judged."""
        # Compare with all keys, so that the time does not depend on the key that fits.
        fits = [
            hmac.compare_digest(_signature(key, grant).encode(), signature.encode())
            for key in self._keys
        ]
        return any(fits)


def parse_expiry(expires: str | None, signature: str | None) -> int:
    """Return when a link ends, in Unix time.

    Raises LinkInvalid for one that cannot be valid, which then costs no query.
    """
    if not _UNIX_TIME.fullmatch(expires or "") or not _SIGNATURE.fullmatch(signature or ""):
        raise _invalid_link()
    return int(expires or "")


def verify(signer: LinkSigner | None, grant: Grant | None, signature: str | None) -> Grant:
    """Return the grant of a link.

    signer: None when this service signs no links.  grant: None when the link names nothing that
    exists.
    Raises LinkInvalid unless the grant is signed, and LinkExpired when it has ended.
    """
    if signer is None or grant is None or not signer.is_valid(grant, signature or ""):
        raise _invalid_link()
    if grant.expires - time.time() < 1:
        raise LinkExpired("the link has expired")
    return grant


def _invalid_link() -> LinkInvalid:
    return LinkInvalid("the link is not valid")


def _signature(secret: bytes, grant: LinkGrant) -> str:
    key = hmac.digest(grant.purpose, secret, "sha256")
    # JSON separates the parts unambiguously.
    digest = hmac.digest(key, json.dumps(list(grant.granted)).encode(), "sha256")
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


# Shorter links end before a slow phone has opened them; longer ones outlive the results' default
# retention of a week.
MIN_SECONDS: Final = 60
MAX_SECONDS: Final = 7 * 24 * 3600

_OUTPUT_PURPOSE: Final = b"smart-filter: output links"
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
        return _OUTPUT_PURPOSE

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


_UPLOAD_PURPOSE = b"smart-filter: upload links"


@dataclass(frozen=True, slots=True)
class UploadGrant:
    """The right to put one upload, until a time; expires: Unix time in seconds."""

    upload_id: UploadId
    expires: int

    @property
    def purpose(self) -> bytes:
        """The purpose of all links of this kind."""
        return _UPLOAD_PURPOSE

    @property
    def granted(self) -> list[str | int | None]:
        """The parts of the grant."""
        return [str(self.upload_id), self.expires]


def upload_url(signer: LinkSigner, base_url: str, upload: Upload) -> str:
    """Return the URL to which an upload may be put until it expires.

    base_url: scheme and host of the API.
    """
    grant = UploadGrant(upload.id, int(upload.expires_at.timestamp()))
    query = urlencode({"expires": grant.expires, "signature": signer.sign(grant)})
    return f"{base_url}/v1/uploads/{upload.id}?{query}"


@dataclass(frozen=True, slots=True)
class Links:
    """How links to outputs and for uploads are made.

    signer: None when the operator has set no key.
    public_url: their scheme and host; None: those of the request if its host is one of the local
        network or this server's own address; otherwise links are paths of the API.
    seconds: the usual lifetime of links to outputs.
    """

    signer: LinkSigner | None
    public_url: str | None
    seconds: int

    def base_url(self, request: Request) -> str:
        """Return the scheme and host of links to this API in the answer to a request."""
        if self.public_url is not None:
            return self.public_url
        return str(request.base_url).rstrip("/") if _has_trusted_host(request) else ""

    @property
    def required_signer(self) -> LinkSigner:
        """The signer of links; there is one if clients cannot reach the store."""
        assert self.signer is not None, "a folder of objects needs a secrets key"
        return self.signer


def _has_trusted_host(request: Request) -> bool:
    """Return whether links may have the request's host.

    Any client can send any Host, and a proxy or a repeated request may show the answer to others: a
    name or an address on the Internet could be an attacker's.
    """
    host = _HOST.fullmatch(request.headers.get("Host", "").lower())
    if host is None:
        return False
    name = host[1].strip("[]")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return "." not in name or name.endswith(_LOCAL_DOMAINS)
    server, _ = request.scope["server"] or ("", None)
    return address.is_private or name == server
