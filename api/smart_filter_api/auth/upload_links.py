"""Signed URLs to which a client puts one upload, when the store itself cannot be reached."""

from dataclasses import dataclass
from urllib.parse import urlencode

from smart_filter_api.auth.link_signer import LinkSigner
from smart_filter_shared.artifacts.uploads import Upload
from smart_filter_shared.ids import UploadId

_PURPOSE = b"smart-filter: upload links"


@dataclass(frozen=True, slots=True)
class UploadGrant:
    """The right to put one upload, until a time; expires: Unix time in seconds."""

    upload_id: UploadId
    expires: int

    @property
    def purpose(self) -> bytes:
        """The purpose of all links of this kind."""
        return _PURPOSE

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
