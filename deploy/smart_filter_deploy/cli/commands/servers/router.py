"""`smart-filter router`: prints which cell each tenant belongs to, for people and for nginx."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import click

from smart_filter_deploy import cells as placement
from smart_filter_deploy.cli.terminal.text import examples, print_line

_EXAMPLE = "smart-filter router --cell amber=http://amber --cell basil=http://basil"


@click.command(
    epilog=examples(
        f"{_EXAMPLE} --where tenants.txt",
        f"{_EXAMPLE} --where tenants.txt --nginx photos.example.com > tenants.conf",
    )
)
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
@click.option(
    "--where",
    "tenants",
    type=click.File(),
    required=True,
    help="File with one tenant per line, whose cells are printed.",
)
@click.option(
    "--nginx",
    "domain",
    metavar="DOMAIN",
    help="Print them as configuration of nginx, with the host TENANT.DOMAIN for each tenant.",
)
def router(
    *, cells: tuple[str, ...], pins: TextIO | None, tenants: TextIO, domain: str | None
) -> None:
    """Print the cell of each tenant, as lines `TENANT CELL`.

    `deploy/nginx/cells.conf` includes the output of `--nginx` (docs/cells.md).
    """
    with _translate_errors("--cell"):
        every = placement.parse_cells(cells)
    with _translate_errors("--pins"):
        pinned = placement.parse_pins(pins or (), every)
    with _translate_errors("--where"):
        named = placement.parse_tenants(tenants)
    placed = {tenant: placement.choose_cell(tenant, every, pinned) for tenant in named}
    if domain is None:
        for tenant, cell in placed.items():
            print_line(f"{tenant} {cell.name}")
        return
    with _translate_errors("--nginx"):
        below = placement.parse_domain(domain)
    click.echo(placement.render_nginx(below, every, placed), nl=False)


@contextmanager
def _translate_errors(option: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from error
