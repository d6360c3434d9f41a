"""`smart-filter router`: routes each tenant's requests on one address to its installation."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import click

from smart_filter_deploy.cli.terminal.examples import examples
from smart_filter_deploy.cli.terminal.exit_codes import require_extra
from smart_filter_deploy.cli.terminal.text import print_line

_EXAMPLE_CELLS = "--cell amber=http://amber --cell basil=http://basil"


@click.command(
    epilog=examples(
        f"smart-filter router {_EXAMPLE_CELLS} --domain example.com",
        f"smart-filter router {_EXAMPLE_CELLS} --where tenants.txt",
    )
)
@click.option("--domain", help="Parent domain; each tenant has the host TENANT.DOMAIN.")
@click.option(
    "--cell",
    "cells",
    multiple=True,
    required=True,
    metavar="NAME=URL",
    help="A cell and the URL of its API; repeat for each cell.",
)
@click.option(
    "--pins", type=click.File(), help="File with lines `TENANT CELL`: tenants pinned to a cell."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@click.option(
    "--watch",
    metavar="HOST:PORT",
    help="Port of the router's own /readyz and /metrics.",
)
@click.option(
    "--where",
    "tenants",
    type=click.File(),
    help="Print the cell of each tenant in this file, and exit.",
)
def router(
    *,
    domain: str | None,
    cells: tuple[str, ...],
    pins: TextIO | None,
    host: str,
    port: int,
    watch: str | None,
    tenants: TextIO | None,
) -> None:
    """Route each tenant's requests to its cell.

    Routers need no server. Run any number of them with the same options (docs/cells.md).
    """
    with require_extra("api"):
        # Not part of a bare install.
        from smart_filter_api.cells import config  # noqa: PLC0415
        from smart_filter_api.cells.rendezvous import Cells  # noqa: PLC0415
        from smart_filter_deploy import wiring  # noqa: PLC0415

        with _translate_errors("--cell"):
            every = config.parse_cells(cells)
        with _translate_errors("--pins"):
            plan = Cells(every, config.parse_pins(pins or (), every))
        if tenants is not None:
            with _translate_errors("--where"):
                named = config.parse_tenants(tenants)
            for tenant in named:
                print_line(f"{tenant} {plan.of(tenant).name}")
            return
        if domain is None:
            raise click.UsageError("--domain is missing: the parent domain of the tenants' hosts")
        with _translate_errors("--domain"):
            below = config.parse_domain(domain)
        with _translate_errors("--watch"):
            own = None if watch is None else config.parse_host_port(watch)
            if own is not None and own[1] == port:
                raise ValueError(f"{port} is already --port; choose another")
        wiring.serve_router(below, plan, at=(host, port), watch=own)


@contextmanager
def _translate_errors(option: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from error
