"""The chart in deploy/kubernetes: what Kubernetes takes, and the values that operators give."""

import re
import textwrap
import tomllib
from collections.abc import Mapping
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


@pytest.fixture(scope="module")
def rendered() -> Rendered:
    """The example: every part, and a pool on GPUs."""
    return chart.render(chart.example())


@pytest.fixture(scope="module")
def least() -> Rendered:
    """What an installation is that says no more than it has to."""
    needed = {"secret", "weightsClaim", "storage", "network"}
    values = {name: value for name, value in chart.example().items() if name in needed}
    return chart.render({**values, "sender": {"enabled": False}})


@pytest.mark.parametrize(
    ("version", "installation"),
    [("1.30", "rendered"), (kubernetes_validate.latest_version(), "least")],
)
def test_kubernetes_takes_every_object(
    version: str, installation: str, request: pytest.FixtureRequest
) -> None:
    for manifest in request.getfixturevalue(installation).manifests:
        if not manifest["apiVersion"].startswith("keda.sh/"):
            kubernetes_validate.validate(manifest, version, strict=True)


def test_helm_finds_nothing_to_warn_of() -> None:
    found = helm_python.lint(CHART, chart.example(), strict=True)

    assert found["errors"] == []
    # Severity 1 is advice: an icon for catalogues of charts.
    assert [one for one in found["messages"] if one["severity"] > 1] == []


def test_versions_are_those_of_the_project() -> None:
    project = tomllib.loads((CHART.parents[1] / "pyproject.toml").read_text())["project"]["version"]
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    images = yaml.safe_load((CHART / "values.yaml").read_text())["images"]

    assert about["version"] == about["appVersion"] == project
    assert images["api"] == f"smart-filter-api:{project}"
    assert images["worker"] == f"smart-filter-gpu-worker:{project}"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"secret": ""}, "/secret"),
        ({"weightsClaim": ""}, "/weightsClaim"),
        ({"storage": {"url": "s3.example.com"}}, "/storage/url"),
        ({"databaseUrl": "postgresql://user:password@host/db"}, "'databaseUrl' not allowed"),
        ({"settings": {"SMART_FILTER_SECRETS_KEY": "s" * 32}}, "'SMART_FILTER_SECRETS_KEY'"),
        ({"capabilities": {"face.centerface": {"replicas": 1}}}, "'replicas' not allowed"),
        ({"live": {"enabled": True, "url": "wss://x\n- name: EVIL"}}, "/live/url"),
        ({"settnigs": {}}, "'settnigs' not allowed"),
        ({"capabilities": {"segmentation.-people": {}}}, "segmentation.-people"),
        ({"capabilities": {"segmentation.people-": {}}}, "segmentation.people-"),
        # A pod has a day to hand back its work.
        ({"stageSeconds": 86_371}, "/stageSeconds"),
        # It would let pods talk to everybody.
        ({"network": {"broker": {"to": []}}}, "/network/broker/to"),
        ({"capabilities": {"smile.expression": None}}, "none is of the stage smile; add one"),
        ({"capabilities": {"prepare.light": {"minReplicas": 0}}}, "a minReplicas of 1 or more"),
        (
            {"capabilities": {"face.centerface": {"minReplicas": 9}}},
            "capabilities.face.centerface: minReplicas 9 is more than maxReplicas 8",
        ),
    ],
)
def test_wrong_value_is_refused_by_its_field(values: Mapping[str, Any], told: str) -> None:
    with pytest.raises(helm_python.HelmError) as refused:
        chart.render(chart.merged(chart.example(), values))

    assert told in str(refused.value)


def test_values_that_the_page_shows_are_taken() -> None:
    page = (CHART.parents[1] / "docs" / "kubernetes.md").read_text()
    blocks = re.findall(r"^    capabilities:\n(?:     .*\n)+", page, re.MULTILINE)

    assert len(blocks) == 2
    for block in blocks:
        values = yaml.safe_load(textwrap.dedent(block))
        pods = chart.render(chart.merged(chart.example(), values)).pods()
        for name, pool in values["capabilities"].items():
            assert (name.replace(".", "-") in pods) == (pool is not None)


def test_every_deployment_has_one_budget_for_evictions(rendered: Rendered) -> None:
    budgets = [
        one["spec"]["selector"]["matchLabels"] for one in rendered.of_kind("PodDisruptionBudget")
    ]

    for deployment in rendered.of_kind("Deployment"):
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert sum(selected.items() <= labels.items() for selected in budgets) == 1


def test_database_is_prepared_before_anything_else_of_a_version(rendered: Rendered) -> None:
    hooks = [
        one
        for one in rendered.manifests
        if "helm.sh/hook" in one["metadata"].get("annotations", {})
    ]

    told = [(one["kind"], one["metadata"]["annotations"]["helm.sh/hook"]) for one in hooks]

    assert sorted(told) == [
        ("Job", "pre-install,pre-upgrade"),
        ("NetworkPolicy", "pre-install,pre-upgrade"),
    ]
    (pod,) = (one["spec"]["template"]["spec"] for one in hooks if one["kind"] == "Job")
    assert [one["args"] for one in pod["initContainers"]] == [["models", "pull"]]
    assert [one["args"] for one in pod["containers"]] == [["prepare"]]


def taken(values: Mapping[str, Any], release: str = chart.RELEASE) -> Rendered:
    """Render the example with more values, and hold it to Kubernetes' schemas."""
    rendered = chart.render(chart.merged(chart.example(), values), release=release)
    for manifest in rendered.manifests:
        if not manifest["apiVersion"].startswith("keda.sh/"):
            kubernetes_validate.validate(manifest, "1.30", strict=True)
    return rendered


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


def test_traces_need_a_way_to_their_collector() -> None:
    told = {"settings": {"SMART_FILTER_OTLP_URL": "http://collector.traces:4318"}}
    there = {"network": {"collector": {"to": [{"namespaceSelector": {}}], "port": 4318}}}

    with pytest.raises(helm_python.HelmError, match=r"say where it is in network\.collector\.to"):
        taken(told)

    assert taken({**told, **there}).named("NetworkPolicy", "traces")
