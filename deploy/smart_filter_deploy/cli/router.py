"""`smart-filter router`: one address before several installations, each tenant led to its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import click

from smart_filter_deploy.cli.endings import needing
from smart_filter_deploy.cli.examples import examples
from smart_filter_deploy.cli.terminal import tell

_CELLS = "--cell amber=http://amber --cell basil=http://basil"


@click.command(
    epilog=examples(
        f"smart-filter router {_CELLS} --domain example.com",
        f"smart-filter router {_CELLS} --where tenants.txt",
    )
)
@click.option("--domain", help="Below which each tenant has a host: acme.DOMAIN.")
@click.option(
    "--cell",
    "cells",
    multiple=True,
    required=True,
    metavar="NAME=URL",
    help="A cell and its API; once for each.",
)
@click.option(
    "--pins", type=click.File(), help="Lines `TENANT CELL`: tenants that stay where they are."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@click.option(
    "--watch",
    metavar="HOST:PORT",
    help="Where /readyz and /metrics tell operators of the router itself; nowhere else.",
)
@click.option(
    "--where",
    "tenants",
    type=click.File(),
    help="Print the cell of each tenant in this file, a line each, and end.",
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
    """Lead each tenant's requests to its cell, until told to stop.

    Any number of these may run; they need no server, and all the same options (docs/cells.md).
    """
    with needing("api"):
        # Not part of a bare install.
        from smart_filter_api.cells import told  # noqa: PLC0415
        from smart_filter_api.cells.choosing import Cells  # noqa: PLC0415
        from smart_filter_deploy import wiring  # noqa: PLC0415

        with _refusing("--cell"):
            every = told.read_cells(cells)
        with _refusing("--pins"):
            plan = Cells(every, told.read_pins(pins or (), every))
        if tenants is not None:
            with _refusing("--where"):
                named = told.read_tenants(tenants)
            for tenant in named:
                tell(f"{tenant} {plan.of(tenant).name}")
            return
        if domain is None:
            raise click.UsageError("--domain is missing: below which tenants have hosts")
        with _refusing("--domain"):
            below = told.read_domain(domain)
        with _refusing("--watch"):
            own = None if watch is None else told.read_place(watch)
            if own is not None and own[1] == port:
                raise ValueError(f"{port} is --port already; name another")
        wiring.serve_router(below, plan, at=(host, port), watch=own)


@contextmanager
def _refusing(option: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from error
