"""Values that an operator may well give: each is taken, or refused by the field's name."""

from collections.abc import Iterator, Mapping
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml

from smart_filter_tests import chart
from smart_filter_tests.chart import CHART, Rendered

LONGEST_RELEASE = "r" * 53  # more Helm does not take
LONGEST_LABEL = 63
LONG_FAMILY = "a-family-of-models-with-a-name-that-goes-on-and-on-and-on-and-on"
DEFAULTS: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())


def paths(values: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield where each value stands, also of those that hold others."""
    for name, value in values.items():
        yield (*above, name)
        if isinstance(value, Mapping):
            yield from paths(value, (*above, name))


# Those at the top stand for all in `make test`: each takes 50 ms.
EVERY_PATH = pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=".".join(path), marks=[pytest.mark.slow] if path[1:] else [])
        for path in sorted(paths(DEFAULTS))
    ],
)


def at(path: tuple[str, ...], value: object) -> dict[str, Any]:
    """Return values that say one thing."""
    name, *below = path
    return {name: at(tuple(below), value) if below else value}


def taken(values: Mapping[str, Any], release: str = chart.RELEASE) -> Rendered:
    """Render the example with more values, and hold it to Kubernetes' schemas."""
    rendered = chart.render(chart.merged(chart.example(), values), release=release)
    for manifest in rendered.manifests:
        if not manifest["apiVersion"].startswith("keda.sh/"):
            kubernetes_validate.validate(manifest, "1.30", strict=True)
    return rendered


@EVERY_PATH
def test_value_that_is_taken_away_is_done_without_or_asked_for_by_its_name(
    path: tuple[str, ...],
) -> None:
    try:
        chart.render(chart.merged(chart.example(), at(path, None)))
    except helm_python.HelmError as refused:
        told = str(refused)
        assert any(name in told for name in path)
        # A template that stumbled names the line it stands in, not what is to be done.
        assert "nil pointer" not in told
        assert "error calling" not in told or "error calling fail" in told


@EVERY_PATH
def test_misspelt_value_is_refused_by_its_name(path: tuple[str, ...]) -> None:
    misspelt = (*path[:-1], f"{path[-1]}z")

    with pytest.raises(helm_python.HelmError, match=misspelt[-1]):
        chart.render(chart.merged(chart.example(), at(misspelt, 1)))


def test_pods_without_resources_ask_for_none() -> None:
    rendered = taken({"workers": {"resources": None}})

    (worker,) = rendered.pods()["face-centerface"]["spec"]["containers"]
    assert worker["resources"] == {}
    (worker,) = rendered.pods()["segmentation-detectron2"]["spec"]["containers"]
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == 1


def test_longest_names_fit_and_stay_apart() -> None:
    families = [LONG_FAMILY, f"{LONG_FAMILY}-2", f"{LONG_FAMILY}-{'3' * 40}"]
    pools: dict[str, Any] = {f"segmentation.{family}": {} for family in families}

    rendered = taken({"capabilities": pools}, release=LONGEST_RELEASE)

    names = [(one["kind"], one["metadata"]["name"]) for one in rendered.manifests]
    assert len(names) == len(set(names))
    assert all(len(name) <= LONGEST_LABEL for _, name in names)
    selectors = []
    for manifest in rendered.of_kind("Deployment"):
        labels = manifest["spec"]["template"]["metadata"]["labels"]
        selector = manifest["spec"]["selector"]["matchLabels"]
        assert all(len(value) <= LONGEST_LABEL for value in labels.values())
        assert selector.items() <= labels.items()
        selectors.append(frozenset(selector.items()))
    assert len(selectors) == len(set(selectors))
    scaled = {one["spec"]["scaleTargetRef"]["name"] for one in rendered.of_kind("ScaledObject")}
    assert scaled <= {name for kind, name in names if kind == "Deployment"}


@pytest.mark.parametrize("name", ["segmentation.-people", "segmentation.people-"])
def test_name_that_no_label_may_have_is_refused(name: str) -> None:
    with pytest.raises(helm_python.HelmError, match=name):
        chart.render(chart.merged(chart.example(), {"capabilities": {name: {}}}))


def test_pod_has_a_day_to_hand_back_and_no_more() -> None:
    taken({"stageSeconds": 86_370})

    with pytest.raises(helm_python.HelmError, match="/stageSeconds"):
        taken({"stageSeconds": 86_371})


def test_traces_need_a_way_to_their_collector() -> None:
    told = {"settings": {"SMART_FILTER_OTLP_URL": "http://collector.traces:4318"}}
    there = {"network": {"collector": {"to": [{"namespaceSelector": {}}], "port": 4318}}}

    with pytest.raises(helm_python.HelmError, match=r"say where it is in network\.collector\.to"):
        taken(told)

    assert taken({**told, **there}).named("NetworkPolicy", "traces")
