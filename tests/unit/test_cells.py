"""Tenants over cells: always the same one, evenly, and moved by nothing but their own cell."""

import pytest

from smart_filter_api.cells.choosing import Cell, cell_of, tenant_of

TENANTS = [f"tenant-{number}" for number in range(2000)]
CELLS = [Cell(name, f"http://{name}:8000") for name in "amber basil cedar delta elder".split()]


def test_tenants_cell_is_the_same_on_every_machine_and_in_every_version() -> None:
    tenants = "acme globex initech local".split()

    assert [cell_of(one, CELLS).name for one in tenants] == "cedar cedar elder delta".split()


def test_order_and_addresses_of_cells_change_nothing() -> None:
    moved = [Cell(cell.name, "https://elsewhere") for cell in reversed(CELLS)]

    assert all(cell_of(one, CELLS).name == cell_of(one, moved).name for one in TENANTS)


def test_cells_have_like_many_tenants() -> None:
    chosen = [cell_of(tenant, CELLS) for tenant in TENANTS]

    # 400 each; the standard deviation is 18.
    assert all(400 - 72 <= chosen.count(cell) <= 400 + 72 for cell in CELLS)


@pytest.mark.parametrize("lost", CELLS, ids=lambda cell: cell.name)
def test_cell_that_goes_moves_its_own_tenants_only_and_spreads_them(lost: Cell) -> None:
    left = [cell for cell in CELLS if cell != lost]
    moved = [one for one in TENANTS if cell_of(one, CELLS) == lost]

    assert all(cell_of(one, left) == cell_of(one, CELLS) for one in TENANTS if one not in moved)
    assert {cell_of(one, left) for one in moved} == set(left)


def test_cell_that_comes_takes_its_share_and_moves_nobody_between_others() -> None:
    new = Cell("fir", "http://fir:8000")
    moved = [one for one in TENANTS if cell_of(one, [*CELLS, new]) != cell_of(one, CELLS)]

    assert all(cell_of(one, [*CELLS, new]) == new for one in moved)
    # A sixth is 333; the standard deviation is 17.
    assert len(moved) <= 333 + 68


@pytest.mark.parametrize(
    ("host", "tenant"),
    [
        ("acme.photos.example.com", "acme"),
        ("Acme.Photos.Example.COM:8443", "acme"),
        ("a-1.photos.example.com", "a-1"),
        ("photos.example.com", None),
        ("acme.photos.example.org", None),
        ("acme.evil-photos.example.com", None),
        ("two.labels.photos.example.com", None),
        (".photos.example.com", None),
        ("-a.photos.example.com", None),
        (f"{'a' * 64}.photos.example.com", None),
        ("a/b.photos.example.com", None),
        ("acme.photos.example.com.", None),
        ("127.0.0.1:8000", None),
        ("[::1]:8000", None),
        ("", None),
    ],
)
def test_host_names_a_tenant_by_one_label_below_the_domain(host: str, tenant: str | None) -> None:
    assert tenant_of(host, "photos.example.com") == tenant
