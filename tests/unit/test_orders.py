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


@pytest.mark.parametrize(
    ("other", "is_read_again"),
    [
        (asked(), False),
        (asked("other"), True),
        (asked(edge="fast"), True),
        (asked(defaults={"edge": "fast"}), True),
        (asked(known=[]), True),
        (asked(pictures=[]), True),
        (asked(with_file=True), True),
    ],
)
def test_only_the_same_request_is_read_once(other: Asked, *, is_read_again: bool) -> None:
    orders = Orders()

    first, second = orders.get(asked(), an_order), orders.get(other, an_order)

    assert (first is not second) == is_read_again


def test_refused_request_is_not_remembered() -> None:
    def refuse() -> Order:
        raise ValueError

    orders = Orders()
    with pytest.raises(ValueError, match=r"^$"):
        orders.get(asked(), refuse)

    assert orders.get(asked(), an_order).recipe == Recipe()
