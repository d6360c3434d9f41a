from smart_filter_workers.sender.endpoint_lanes import SLOW_SECONDS, EndpointLanes


def test_lane_is_in_trouble_until_a_delivery_succeeds() -> None:
    lanes = EndpointLanes()

    lanes.record("a", well=False, seconds=0.1, now=0)
    lanes.record("b", well=True, seconds=SLOW_SECONDS, now=0)
    lanes.record("c", well=True, seconds=0.1, now=0)
    assert lanes.failing == {"a", "b"}
    lanes.record("a", well=True, seconds=0.1, now=1)
    assert lanes.failing == {"b"}


def test_lane_is_held_back_for_its_seconds() -> None:
    lanes = EndpointLanes()

    lanes.record("a", well=False, seconds=0.1, now=0, hold_seconds=60)
    lanes.record("a", well=False, seconds=0.1, now=1)

    assert (lanes.due_for_retry(59), lanes.due_for_retry(60)) == (frozenset(), {"a"})


def test_number_of_known_lanes_is_bounded() -> None:
    lanes = EndpointLanes()

    for number in range(10_001):
        lanes.record(f"{number}", well=False, seconds=0.1, now=0)

    assert len(lanes.failing) == 10_000
    assert "0" not in lanes.failing
