"""Links of answers: their address, and their signatures."""

from dataclasses import dataclass

from fastapi import Request

from smart_filter_api.auth.links import LinkSigner


@dataclass(frozen=True, slots=True)
class Links:
    """How links to outputs and for uploads are made.

    signer: None when the operator has set no key.
    public_url: their scheme and host; None: the scheme and host of the request.
    seconds: the usual lifetime of links to outputs.
    """

    signer: LinkSigner | None
    public_url: str | None
    seconds: int

    def base_url(self, request: Request) -> str:
        """Return the scheme and host of links to this API in the answer to a request."""
        return self.public_url or str(request.base_url).rstrip("/")

    @property
    def required_signer(self) -> LinkSigner:
        """The signer of links; there is one if clients cannot reach the store."""
        assert self.signer is not None, "a folder of objects needs a secrets key"
        return self.signer
