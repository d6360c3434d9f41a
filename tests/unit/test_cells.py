from collections.abc import Sequence
from pathlib import Path

import pytest

from smart_filter_api.cells import config
from smart_filter_api.cells.rendezvous import Cell, Cells, parse_tenant
from smart_filter_deploy.cli import main

TENANTS = [f"tenant-{number}" for number in range(2000)]
CELLS = [Cell(name, f"http://{name}:8000") for name in "amber basil cedar delta elder".split()]

OPTIONS = ("--cell", "amber=http://10.0.0.5:8000", "--cell", "basil=https://basil.internal")


def of(tenant: str, cells: Sequence[Cell]) -> Cell:
    return Cells(cells).of(tenant)


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


@pytest.mark.parametrize(
    ("host", "tenant"),
    [
        ("acme.photos.example.com", "acme"),
        ("Acme.Photos.Example.COM:8443", "acme"),
        ("a-1.photos.example.com", "a-1"),
        ("photos.example.com", None),
        ("acme.evil-photos.example.com", None),
        ("two.labels.photos.example.com", None),
        (".photos.example.com", None),
        ("-a.photos.example.com", None),
        (f"{'a' * 64}.photos.example.com", None),
        ("a/b.photos.example.com", None),
        ("acme.photos.example.com.", None),
        ("[::1]:8000", None),
        ("", None),
    ],
)
def test_host_names_a_tenant_by_one_label_below_the_domain(host: str, tenant: str | None) -> None:
    assert parse_tenant(host, "photos.example.com") == tenant


def test_output_of_where_pins_tenants_to_their_cells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tenants = tmp_path / "tenants"
    tenants.write_text("Acme\n\nglobex\ninitech\n")
    cells = config.parse_cells(OPTIONS[1::2])

    with pytest.raises(SystemExit) as ended:
        main(("router", *OPTIONS, "--where", str(tenants)))

    assert ended.value.code == 0
    pins = config.parse_pins(capsys.readouterr().out.splitlines(), cells)
    assert pins == {one: of(one, cells) for one in ("acme", "globex", "initech")}


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
        ("--cell a=http://a..b", "the URL of a is not http(s)://host[:port]"),
        ("--cell a=http://a --cell a=http://b", "two cells are named a"),
        ("--cell a=http://a", "--domain is missing"),
        ("--cell a=http://a --domain photos..com", "photos..com is not a domain"),
        ("--cell a=http://a --domain https://photos.com", "is not a domain"),
        ("--cell a=http://a --domain d --pins PINS", "line 2: no --cell is named basil"),
        ("--cell basil=http://a --domain d --pins PINS", "line 3: expected TENANT CELL"),
        ("--cell a=http://a --where PINS", "acme basil cannot be a host name"),
        ("--cell a=http://a --domain d --watch 8001", "expected HOST:PORT"),
        ("--cell a=http://a --domain d --watch http://a:1", "expected HOST:PORT"),
        ("--cell a=http://a --domain d --watch a:0", "expected HOST:PORT"),
        ("--cell a=http://a --domain d --watch 127.0.0.1:8000", "8000 is already --port"),
        ("--domain d", "--cell"),
    ],
)
def test_wrong_option_ends_the_router_in_one_line_without_secrets(
    options: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pins = tmp_path / "pins"
    pins.write_text("\nacme basil\nglobex\n")

    with pytest.raises(SystemExit) as ended:
        main(("router", *options.replace("PINS", str(pins)).split()))

    shown = capsys.readouterr()
    assert (ended.value.code, shown.out, shown.err.count("\n")) == (2, "", 1)
    assert said in shown.err
    assert "hush" not in shown.err
