"""The options of signed links that requests for jobs give."""

from typing import Annotated

from fastapi import Depends, Query, Request

from smart_filter_api.auth import links
from smart_filter_api.auth.links import LinkTerms
from smart_filter_api.services.container import services_of
from smart_filter_shared.recipe.files import MAX_NAME_CHARACTERS


async def read_link_terms(
    request: Request,
    expires_in: Annotated[
        int | None,
        Query(
            ge=links.MIN_SECONDS,
            le=links.MAX_SECONDS,
            description="Lifetime of `output_links` in seconds",
        ),
    ] = None,
    download: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=MAX_NAME_CHARACTERS,
            description="Browsers save what `output_links` open: `1`, or a file name to use",
        ),
    ] = None,
) -> LinkTerms | None:
    """Return how the links of the answer to a request are made; None without a secrets key."""
    services = services_of(request)
    if services.links.signer is None:
        return None
    return LinkTerms(
        services.links.signer,
        base_url=services.links.base_url(request),
        default_seconds=services.links.seconds,
        seconds=expires_in,
        download=download,
    )


LinkOptions = Annotated[LinkTerms | None, Depends(read_link_terms)]
