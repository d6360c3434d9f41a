import numpy as np

from smart_filter_training import checks
from smart_filter_training.checks import Finding
from smart_filter_training.splits import held_out


def test_picture_saved_again_has_the_same_hash_and_another_one_has_not() -> None:
    rng = np.random.default_rng(0)
    picture = np.kron(rng.integers(0, 200, (8, 8)), np.ones((6, 6))).astype(np.uint8)
    saved_again = np.clip(picture.astype(int) + rng.integers(-2, 3, picture.shape), 0, 255)
    other = np.kron(rng.integers(0, 200, (8, 8)), np.ones((6, 6))).astype(np.uint8)

    assert checks.picture_hash(saved_again.astype(np.uint8)) == checks.picture_hash(picture)
    assert checks.picture_hash(other) != checks.picture_hash(picture)


def test_same_pictures_on_both_sides_of_a_split_are_named() -> None:
    [found] = checks.across_splits([7, 8, 7], ["a", "b", "c"], np.array([False, False, True]))

    assert (found.where, found.fatal) == ("c", True)
    assert "a" in found.what
    assert not list(checks.across_splits([7, 7], ["a", "b"], np.array([True, True])))


def test_many_findings_of_a_kind_are_counted() -> None:
    alike = [Finding(f"{number}.png", "is damaged", "get it anew") for number in range(50)]

    kept = checks.few([*alike, Finding("x", "is empty", "add some", fatal=False)])

    assert len(kept) == checks.MOST_OF_A_KIND + 2
    assert kept[checks.MOST_OF_A_KIND].what == "30 more like these"
    assert kept[checks.MOST_OF_A_KIND].fatal
    assert not kept[-1].fatal


def test_class_without_examples_is_found() -> None:
    found = list(checks.empty_classes({"open": 3, "closed": 0}, where="eyes"))

    assert [one.what for one in found] == ["has 0 of closed, needs 1 at least"]


def test_name_stays_on_its_side_when_others_come() -> None:
    names = [f"{number}.png" for number in range(4000)]

    few, many = held_out(names[:100], share=0.1), held_out(names, share=0.1)

    assert (few == many[:100]).all()
    assert 0.08 < many.mean() < 0.12
