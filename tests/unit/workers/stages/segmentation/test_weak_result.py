import numpy as np
import pytest

from smart_filter_shared.recipe import Recipe
from smart_filter_wire.findings import Person, PersonRole
from smart_filter_workers.results import Segmentation
from smart_filter_workers.stages.segmentation.stage import find_weak_result

NO_PERSON = np.zeros((9, 9), np.uint8)


@pytest.mark.parametrize(("found", "is_weak"), [((), True), ((PersonRole.POSSIBLE,), False)])
def test_what_may_be_a_person_is_not_cut_out_as_a_thing(
    found: tuple[PersonRole, ...], *, is_weak: bool
) -> None:
    persons = tuple(Person(1, (0, 0, 9, 9), kept=False, role=role) for role in found)
    result = Segmentation(found=persons, matte=NO_PERSON)

    assert (find_weak_result(result, Recipe()) is result) is is_weak
