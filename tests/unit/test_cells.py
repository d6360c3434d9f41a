import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from smart_filter_deploy import cells
from smart_filter_deploy.cells import Cell
from smart_filter_deploy.cli import main

TENANTS = [f"tenant-{number}" for number in range(2000)]
CELLS = [Cell(name, "http", name, "8000") for name in "amber basil cedar delta elder".split()]

OPTIONS = ("--cell", "amber=http://10.0.0.5:8000", "--cell", "basil=https://basil.internal")


def of(tenant: str, every: Sequence[Cell]) -> Cell:
    return cells.choose_cell(tenant, every, pins={})


def test_cell_of_a_tenant_is_the_same_on_every_machine_and_version() -> None:
    tenants = "acme globex initech local".split()

    assert [of(one, CELLS).name for one in tenants] == "cedar cedar elder delta".split()


def test_tenants_are_spread_evenly_over_cells() -> None:
    chosen = [of(tenant, CELLS) for tenant in TENANTS]

    # 400 each; the standard deviation is 18.
    assert all(400 - 72 <= chosen.count(cell) <= 400 + 72 for cell in CELLS)


@pytest.mark.parametrize("lost", CELLS, ids=lambda cell: cell.name)
def test_lost_cell_moves_only_its_own_tenants_and_spreads_them(lost: Cell) -> None:
    left = [cell for cell in CELLS if cell != lost]
    moved = [one for one in TENANTS if of(one, CELLS) == lost]

    assert all(of(one, left) == of(one, CELLS) for one in TENANTS if one not in moved)
    assert {of(one, left) for one in moved} == set(left)


def test_output_of_where_pins_tenants_to_their_cells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tenants = tmp_path / "tenants"
    tenants.write_text("Acme\n\nglobex\ninitech\n")
    every = cells.parse_cells(OPTIONS[1::2])

    with pytest.raises(SystemExit) as ended:
        main(("router", *OPTIONS, "--where", str(tenants)))

    assert ended.value.code == 0
    pins = cells.parse_pins(capsys.readouterr().out.splitlines(), every)
    assert pins == {one: of(one, every) for one in ("acme", "globex", "initech")}


def test_nginx_gets_the_cell_of_each_tenant_but_the_operator(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tenants, pins = tmp_path / "tenants", tmp_path / "pins"
    tenants.write_text("acme\nACME\ninitech\nlocal\n")
    pins.write_text("acme amber\ninitech basil\n")

    with pytest.raises(SystemExit):
        main(
            (
                "router",
                *OPTIONS,
                "--pins",
                str(pins),
                "--where",
                str(tenants),
                "--nginx",
                "Example.com",
            )
        )

    assert (
        capsys.readouterr().out
        == """\
upstream amber {
    zone amber 64k;
    server 10.0.0.5:8000 max_conns=1000;
    keepalive 50;
    keepalive_timeout 2s;
}
upstream basil {
    zone basil 64k;
    server basil.internal:443 max_conns=1000;
    keepalive 50;
    keepalive_timeout 2s;
}
map $host $cell_url {
    acme.example.com http://amber;
    initech.example.com https://basil;
}
map $cell_url $cell_tls_name {
    http://amber 10.0.0.5;
    https://basil basil.internal;
}
"""
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--cell http://u:hush@amber", "expected NAME=URL"),
        ("--cell =http://a", "a cell's name has lower-case letters"),
        ("--cell Amber=http://a", "a cell's name has lower-case letters"),
        ("--cell http://u:hush@a?b=c", "a cell's name has lower-case letters"),
        ("--cell a=a:8000", "the URL of a is not http(s)://host[:port]"),
        ("--cell a=http://a/v1", "the URL of a is not http(s)://host[:port]"),
        ("--cell a=http://u:hush@a", "the URL of a is not http(s)://host[:port]"),
        ("--cell a=http://[a", "the URL of a is not http(s)://host[:port]"),
        ("--cell a=http://a;b", "the URL of a is not http(s)://host[:port]"),
        ("--cell a=http://a --cell a=http://b", "two cells are named a"),
        ("--cell a=http://a --nginx photos..com", "photos..com is not a domain"),
        ("--cell a=http://a --nginx https://photos.com", "is not a domain"),
        ("--cell a=http://a --pins PINS", "line 2: no --cell is named basil"),
        ("--cell basil=http://a --pins PINS", "line 3: expected TENANT CELL"),
        ("--cell a=http://a --where PINS", "acme basil cannot be a host name"),
    ],
)
def test_wrong_option_ends_the_command_in_one_line_without_secrets(
    options: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pins = tmp_path / "pins"
    pins.write_text("\nacme basil\nglobex\n")
    given = options.replace("PINS", str(pins)).split()

    with pytest.raises(SystemExit) as ended:
        main(("router", "--where", os.devnull, *given))

    shown = capsys.readouterr()
    assert (ended.value.code, shown.out, shown.err.count("\n")) == (2, "", 1)
    assert said in shown.err
    assert "hush" not in shown.err
