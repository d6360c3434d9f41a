"""What was asked a moment ago is read again only when something else is known."""

import pytest

from smart_filter_api.orders import Asked, Order, Orders
from smart_filter_shared.ids import Tenant
from smart_filter_shared.jobs.published import Published
from smart_filter_shared.recipe import Recipe
from smart_filter_shared.stock import Picture

KNOWN: list[Published] = []
PICTURES: list[Picture] = []


def asked(
    tenant: str = "acme",
    *,
    edge: str = "best",
    defaults: dict[str, object] | None = None,
    known: list[Published] = KNOWN,
    pictures: list[Picture] = PICTURES,
    with_file: bool = False,
) -> Asked:
    return Asked(Tenant(tenant), {"edge": [edge]}, defaults or {}, with_file, known, pictures)


def an_order() -> Order:
    return Order(Recipe(), {}, {}, KNOWN)


def test_same_request_is_read_once() -> None:
    orders = Orders()

    assert orders.get(asked(), an_order) is orders.get(asked(), an_order)


@pytest.mark.parametrize(
    "other",
    [
        asked("other"),
        asked(edge="fast"),
        asked(defaults={"edge": "fast"}),
        asked(known=[]),
        asked(pictures=[]),
        asked(with_file=True),
    ],
)
def test_another_request_is_read_anew(other: Asked) -> None:
    orders = Orders()

    assert orders.get(asked(), an_order) is not orders.get(other, an_order)


def test_what_cannot_be_read_is_not_remembered() -> None:
    def refuse() -> Order:
        raise ValueError

    orders = Orders()
    with pytest.raises(ValueError, match=r"^$"):
        orders.get(asked(), refuse)

    assert orders.get(asked(), an_order).recipe == Recipe()
