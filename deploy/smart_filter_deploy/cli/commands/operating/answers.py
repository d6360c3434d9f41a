"""`smart-filter answers`: checks that a URL answers, for the health checks of containers."""

import click
import httpx

from smart_filter_deploy.cli.terminal.exit_codes import PHOTO_FAILED, CommandError
from smart_filter_deploy.cli.terminal.text import examples

# Below the 10 s that the health checks of the images allow, so that the reason is reported.
_TIMEOUT_SECONDS = 4


@click.command(epilog=examples("smart-filter answers http://127.0.0.1:8001/readyz"))
@click.argument("url")
def answers(url: str) -> None:
    """Exit with 0 if a URL answers with a status of 200 to 299, else with 1 and the reason.

    Variables that name a proxy are ignored: the URL is of this container.
    """
    try:
        # Without the body, whose length is the server's choice.
        with httpx.stream("GET", url, timeout=_TIMEOUT_SECONDS, trust_env=False) as answer:
            pass
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CommandError(f"{url} does not answer: {error}", PHOTO_FAILED) from error
    if not answer.is_success:
        raise CommandError(f"{url} answers with {answer.status_code}", PHOTO_FAILED)
