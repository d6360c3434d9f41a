"""The chart in deploy/kubernetes: objects and values; permissions and connections of its pods."""

import itertools
import re
import shlex
import textwrap
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml

from smart_filter_deploy.process_secrets import NEEDED_BY, Process
from smart_filter_docs import settings as documented
from smart_filter_shared.config.settings import EngineSettings
from smart_filter_shared.pipeline import StageName
from smart_filter_tests import chart, commands
from smart_filter_tests.chart import CHART, Manifest, RenderedChart
from smart_filter_workers.models import catalog
from smart_filter_workers.runtime import runner

PAGE = CHART.parents[1] / "docs" / "kubernetes.md"
# Of servers; an issuer is no secret.
SECRETS = {
    name for name, processes in NEEDED_BY.items() if processes and not name.endswith("_ISSUER")
}
# Ports of clients, not of servers.
CLIENTS = {"SMART_FILTER_URL", "SMART_FILTER_API_KEY"}
LONGEST_RELEASE = "r" * 53  # Helm's maximum
LONGEST_LABEL = 63
LONG_FAMILY = "a-family-of-models-with-a-name-that-goes-on-and-on-and-on-and-on"


@pytest.fixture(scope="module")
def rendered() -> RenderedChart:
    """The example: every part, and a pool on GPUs."""
    return chart.render(chart.example_values())


@pytest.fixture(scope="module")
def least() -> RenderedChart:
    """An installation with the minimal values."""
    needed = {"secret", "weightsClaim", "storage", "network"}
    values = {name: value for name, value in chart.example_values().items() if name in needed}
    return chart.render({**values, "sender": {"enabled": False}})


@pytest.mark.parametrize(
    ("version", "installation"),
    [("1.30", "rendered"), (kubernetes_validate.latest_version(), "least")],
)
def test_kubernetes_accepts_every_object(
    version: str, installation: str, request: pytest.FixtureRequest
) -> None:
    assert_valid(request.getfixturevalue(installation), version)


def test_helm_lint_has_no_warnings() -> None:
    found = helm_python.lint(CHART, chart.example_values(), strict=True)

    assert found["errors"] == []
    # Severity 1 is advice: an icon for catalogs of charts.
    assert [message for message in found["messages"] if message["severity"] > 1] == []


def test_versions_equal_those_of_the_project() -> None:
    project = tomllib.loads((CHART.parents[1] / "pyproject.toml").read_text())["project"]["version"]
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    images = yaml.safe_load((CHART / "values.yaml").read_text())["images"]

    assert about["version"] == about["appVersion"] == project
    assert images["api"] == f"smart-filter-api:{project}"
    # One of the tags that deploy/release.sh makes.
    assert images["worker"] == f"smart-filter-gpu-worker:{project}-gpu"


@pytest.mark.parametrize(
    ("values", "stated"),
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
        # A pod has a day to return its work.
        ({"stageSeconds": 86_371}, "/stageSeconds"),
        # It would let pods connect to any address.
        ({"network": {"broker": {"to": []}}}, "/network/broker/to"),
        ({"capabilities": {"smile.expression": None}}, "none is of the stage smile; add one"),
        ({"capabilities": {"prepare.light": {"minReplicas": 0}}}, "a minReplicas of 1 or more"),
        (
            {"capabilities": {"face.centerface": {"minReplicas": 9}}},
            "capabilities.face.centerface: minReplicas 9 is more than maxReplicas 8",
        ),
    ],
)
def test_wrong_value_is_refused_by_its_field(values: Mapping[str, Any], stated: str) -> None:
    with pytest.raises(helm_python.HelmError) as refused:
        chart.render(chart.merge_values(chart.example_values(), values))

    assert stated in str(refused.value)


def test_values_on_the_page_are_accepted() -> None:
    blocks = re.findall(r"^    capabilities:\n(?:     .*\n)+", PAGE.read_text(), re.MULTILINE)

    assert len(blocks) == 2
    for block in blocks:
        values = yaml.safe_load(textwrap.dedent(block))
        pods = chart.render(chart.merge_values(chart.example_values(), values)).pods()
        for name, pool in values["capabilities"].items():
            assert (name.replace(".", "-") in pods) == (pool is not None)


def test_every_deployment_has_one_disruption_budget(rendered: RenderedChart) -> None:
    budgets = [
        one["spec"]["selector"]["matchLabels"] for one in rendered.of_kind("PodDisruptionBudget")
    ]

    for deployment in rendered.of_kind("Deployment"):
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert sum(selected.items() <= labels.items() for selected in budgets) == 1


def test_database_is_prepared_before_other_parts_of_a_version(rendered: RenderedChart) -> None:
    hooks = [
        manifest
        for manifest in rendered.manifests
        if "helm.sh/hook" in manifest["metadata"].get("annotations", {})
    ]

    stated = [(hook["kind"], hook["metadata"]["annotations"]["helm.sh/hook"]) for hook in hooks]

    assert sorted(stated) == [
        ("Job", "pre-install,pre-upgrade"),
        ("NetworkPolicy", "pre-install,pre-upgrade"),
    ]
    (pod,) = (hook["spec"]["template"]["spec"] for hook in hooks if hook["kind"] == "Job")
    assert [container["args"] for container in pod["initContainers"]] == [["models", "pull"]]
    assert [container["args"] for container in pod["containers"]] == [["prepare"]]


def taken(values: Mapping[str, Any], release: str = chart.RELEASE) -> RenderedChart:
    """Render the example with more values, and check it by Kubernetes' schemas."""
    rendered = chart.render(chart.merge_values(chart.example_values(), values), release=release)
    assert_valid(rendered, "1.30")
    return rendered


def assert_valid(rendered: RenderedChart, version: str) -> None:
    """Assert that every object fits the schemas of this version of Kubernetes."""
    for manifest in rendered.manifests:
        if not manifest["apiVersion"].startswith("keda.sh/"):
            kubernetes_validate.validate(manifest, version, strict=True)


def test_longest_names_fit_and_stay_distinct() -> None:
    families = [LONG_FAMILY, f"{LONG_FAMILY}-2", f"{LONG_FAMILY}-{'3' * 40}"]
    pools: dict[str, Any] = {f"segmentation.{family}": {} for family in families}

    rendered = taken({"capabilities": pools}, release=LONGEST_RELEASE)

    names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in rendered.manifests]
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


def test_api_reaches_the_sign_in_provider() -> None:
    provider = {"network": {"signIn": {"to": [{"ipBlock": {"cidr": "192.0.2.7/32"}}], "port": 443}}}
    values = chart.example_values()
    values["network"] |= provider["network"]

    policies = chart.render(values).of_kind("NetworkPolicy")

    allowed = [policy["metadata"]["name"] for policy in policies if "192.0.2.7/32" in str(policy)]
    assert [name.rpartition("-")[2] for name in allowed] == ["api"]


def test_traces_need_a_way_to_their_collector() -> None:
    stated = {"settings": {"SMART_FILTER_OTLP_URL": "http://collector.traces:4318"}}
    there = {"network": {"collector": {"to": [{"namespaceSelector": {}}], "port": 4318}}}

    with pytest.raises(helm_python.HelmError, match=r"set its location in network\.collector\.to"):
        taken(stated)

    assert taken({**stated, **there}).named("NetworkPolicy", "traces")


def variables() -> set[str]:
    """Every variable of the table in docs/settings.md; another test compares that with the code."""
    rows = re.findall(
        r"^\| (SMART_FILTER_[A-Z0-9_, ]+) \|", documented.PAGE.read_text(), re.MULTILINE
    )
    return {name.strip() for row in rows for name in row.split(",")}


def test_pods_have_only_needed_permissions(rendered: RenderedChart) -> None:
    for name, pod in rendered.pods().items():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False, name
        # Kubernetes would otherwise add SMART_FILTER_LIVE_PORT and the like to our variables.
        assert spec["enableServiceLinks"] is False, name
        assert (
            spec["securityContext"].items()
            >= {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            }.items()
        ), name
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}, name
    for container in rendered.containers():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, container["name"]
        assert "memory" in container["resources"]["limits"], container["name"]


def test_secrets_are_referenced_and_never_written(rendered: RenderedChart) -> None:
    assert rendered.of_kind("Secret") == []
    for container in rendered.containers():
        for variable, stated in chart.environment(container).items():
            assert ("valueFrom" in stated) == (variable in SECRETS), variable


def test_pods_have_the_secrets_that_they_need_and_no_others(rendered: RenderedChart) -> None:
    kinds = {"api": Process.API, "sender": Process.SENDER, "live": Process.LIVE}

    for container in rendered.containers():
        stated = chart.environment(container).keys() & SECRETS
        signs = "composite" in container["args"]
        worker = Process.COMPOSITE_WORKER if signs else Process.WORKER
        process = kinds.get(container["name"], worker)
        needed = {name for name in SECRETS if process in NEEDED_BY[name]}
        assert stated == (set() if container["name"] == "weights" else needed), container["name"]


def keys_of(rendered: RenderedChart, variable: str) -> dict[str, str]:
    """Return the key of the secret that each pod reads a variable from, by the pod's name."""
    return {
        name: stated["valueFrom"]["secretKeyRef"]["key"]
        for name, pod in rendered.pods().items()
        for container in pod["spec"]["containers"]
        for stated in container["env"]
        if stated["name"] == variable
    }


@pytest.mark.parametrize("own", [False, True])
def test_processes_share_an_identity_of_the_bucket_unless_each_has_its_own(*, own: bool) -> None:
    rendered = chart.render({**chart.example_values(), "storageIdentities": own})

    suffixes = {"api": "-api", "prepare": ""}
    for kind in ("access", "secret"):
        keys = keys_of(rendered, f"SMART_FILTER_STORAGE_{kind.upper()}_KEY")
        for name, key in keys.items():
            suffix = suffixes.get(name, "-worker") if own else ""
            assert key == f"storage-{kind}-key{suffix}", name
        assert keys.keys() == rendered.pods().keys() - {"sender", "live"}


@pytest.mark.parametrize("own", [False, True])
def test_processes_share_a_database_role_unless_each_has_its_own(*, own: bool) -> None:
    rendered = chart.render({**chart.example_values(), "databaseRoles": own})

    keys = keys_of(rendered, "SMART_FILTER_DATABASE_URL")

    roles = {"api": "-api", "sender": "-sender", "prepare": ""}
    for name, key in keys.items():
        assert key == "database-url" + (roles.get(name, "-worker") if own else ""), name
    assert roles.keys() < keys.keys()


def test_variables_and_settings_equal_those_of_the_documentation(rendered: RenderedChart) -> None:
    in_pods = {name for container in rendered.containers() for name in chart.environment(container)}
    of_chart = in_pods - rendered.values["settings"].keys() | {"SMART_FILTER_STORAGE_PUBLIC_URL"}
    with helm_python.Chart.load(CHART) as loaded:
        schema = loaded.schema
    assert schema is not None

    settable = set(schema["properties"]["settings"]["properties"])

    assert in_pods - {"HOME"} <= variables()
    assert settable == variables() - of_chart - CLIENTS, (
        "put a new setting into values.schema.json, or into templates/_names.tpl"
    )


def test_large_number_stays_a_number() -> None:
    values = chart.merge_values(
        chart.example_values(), {"settings": {"SMART_FILTER_LIMIT_JOBS_IN_ALL": 2_000_000}}
    )

    api = chart.render(values).pods()["api"]["spec"]["containers"][0]

    assert chart.environment(api)["SMART_FILTER_LIMIT_JOBS_IN_ALL"]["value"] == "2000000"


def test_commands_of_pods_and_pages_exist(rendered: RenderedChart) -> None:
    for container in rendered.containers():
        commands.parse(container["args"])
    for stated, number in ((rendered.notes, 1), (PAGE.read_text(), 2)):
        found = re.findall(r"-- (?:\\\n *)?smart-filter (.+)$", stated, re.MULTILINE)
        assert len(found) == number
        for line in found:
            commands.parse(shlex.split(line))


def test_each_capability_is_served_by_its_pods(rendered: RenderedChart) -> None:
    leading = [card for card in cards() if card.leads]
    wanted = {name for name, pool in rendered.values["capabilities"].items() if pool is not None}

    served = set()
    for deployment in rendered.of_kind("Deployment"):
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        if container["name"] == "worker":
            _, _, stage, _, model, _, _ = container["args"]
            (card,) = [one for one in leading if (one.stage, one.name) == (stage, model)]
            labels = deployment["spec"]["template"]["metadata"]["labels"]
            assert labels["smart-filter/capability"] == card.capability
            assert labels["smart-filter/stage"] == stage
            served.add(card.capability)

    assert served == wanted
    assert {one.partition(".")[0] for one in served} == set(StageName)


def test_family_of_every_capability_is_the_name_of_one_of_its_models() -> None:
    # The chart passes the family to a worker, where `--models` takes names.
    leading = [card for card in cards() if card.leads]

    for capability in {card.capability for card in leading}:
        stage, family = capability.split(".")
        assert [one for one in leading if (one.stage, one.name) == (stage, family)], capability


def cards() -> list[Any]:
    return [
        offer.card for offer in catalog.discover_models(research=True).offers(Path("no weights"))
    ]


def test_pools_and_stage_seconds_equal_those_of_the_settings(rendered: RenderedChart) -> None:
    declared = chart.environment(rendered.pods()["api"]["spec"]["containers"][0])

    pools = EngineSettings(pools=declared["SMART_FILTER_POOLS"]["value"]).pools

    assert set(pools) == set(rendered.values["capabilities"])
    assert rendered.values["stageSeconds"] == EngineSettings().stage_seconds


def test_pod_outlasts_the_longest_batch() -> None:
    stage_seconds = 900
    rendered = chart.render({**chart.example_values(), "stageSeconds": stage_seconds})
    longest = stage_seconds + runner._CHILD_OVERHEAD_SECONDS  # noqa: SLF001 - on its last attempt

    for name, pod in rendered.pods().items():
        stated = chart.environment(pod["spec"]["containers"][0])
        if "SMART_FILTER_DRAIN_SECONDS" in stated:
            drain = int(stated["SMART_FILTER_DRAIN_SECONDS"]["value"])
            assert int(stated["SMART_FILTER_STAGE_SECONDS"]["value"]) == stage_seconds
            assert drain >= longest, name
            assert pod["spec"]["terminationGracePeriodSeconds"] >= drain + 15, name


def test_probes_use_the_endpoints_of_the_processes(rendered: RenderedChart) -> None:
    for name, pod in rendered.pods().items():
        (container,) = pod["spec"]["containers"]
        if container["args"][0] in ("worker", "sender"):  # they have no port, but a row
            for probe in ("startupProbe", "livenessProbe"):
                assert container[probe]["exec"]["command"][1:] == ["worker-health"], name
    for name in ("api", "live"):
        (container,) = rendered.pods()[name]["spec"]["containers"]
        port, operators_port = container["ports"]
        asked = {
            probe: (container[probe]["httpGet"]["path"], container[probe]["httpGet"]["port"])
            for probe in ("startupProbe", "livenessProbe", "readinessProbe")
        }
        assert asked == {
            "startupProbe": ("/livez", port["name"]),
            "livenessProbe": ("/livez", port["name"]),
            "readinessProbe": ("/readyz", operators_port["name"]),
        }
        options = dict(itertools.pairwise(container["args"]))
        assert options["--port"] == str(port["containerPort"])
        assert options["--operators-port"] == str(operators_port["containerPort"])
        for service, served in ((name, port), (f"{name}-ops", operators_port)):
            shown = rendered.named("Service", service)["spec"]["ports"]
            assert [one["targetPort"] for one in shown] == [served["name"]]


def test_gpu_pool_requests_one_gpu_per_pod() -> None:
    gpu = "nvidia.com/mig-1g.10gb"
    values = chart.merge_values(
        chart.example_values(), {"capabilities": {"segmentation.detectron2": {"gpu": gpu}}}
    )

    limits = {
        name: pod["spec"]["containers"][0]["resources"]["limits"]
        for name, pod in chart.render(values).pods().items()
    }

    assert limits["segmentation-detectron2"] == {"memory": "16Gi", gpu: 1}
    del limits["segmentation-detectron2"]
    assert "/" not in str(limits.values())


def selects(policy: Manifest, labels: Mapping[str, str]) -> bool:
    selector = policy["spec"]["podSelector"]
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(one["key"]) in one["values"] for one in selector.get("matchExpressions", ())
    )


def test_pods_reach_their_servers_and_no_other_address(rendered: RenderedChart) -> None:
    network = rendered.values["network"]
    names = {str(network[name]): name for name in ("database", "broker", "storage")}

    def destination(rule: Manifest) -> str:
        ports = [port["port"] for port in rule["ports"]]
        if rule["to"] == network["dns"]:
            return "names"
        if rule["to"] == network["public"]["to"] and ports == network["public"]["ports"]:
            return "internet"
        return names[str({"port": ports[0], "to": rule["to"]})]

    reached = {}
    for name, pod in rendered.pods().items():
        labels = pod["metadata"]["labels"]
        policies = [one for one in rendered.of_kind("NetworkPolicy") if selects(one, labels)]
        assert any(policy["spec"]["policyTypes"] == ["Ingress", "Egress"] for policy in policies), (
            name
        )
        rules = [rule for policy in policies for rule in policy["spec"].get("egress", ())]
        reached[name] = {destination(rule) for rule in rules}

    rows = {"names", "database", "broker", "storage"}
    assert reached == {
        "api": rows,
        "prepare": {"names", "database", "storage", "internet"},
        "sender": {"names", "database", "internet"},
        "live": set(),
        "prepare-light": rows | {"internet"},
        "composite-layers": rows | {"internet"},
        "segmentation-people": rows,
        "segmentation-selfie": rows,
        "segmentation-detectron2": rows,
        "face-centerface": rows,
        "smile-expression": rows,
    }


def connections(rendered: RenderedChart) -> dict[tuple[str, int], list[Manifest]]:
    """Return the peers that may connect to each port of the pods."""
    found = {}
    for name, pod in rendered.pods().items():
        for policy in rendered.of_kind("NetworkPolicy"):
            if selects(policy, pod["metadata"]["labels"]):
                for rule in policy["spec"].get("ingress", ()):
                    found |= {(name, port["port"]): rule["from"] for port in rule["ports"]}
    return found


def test_clients_and_operators_connect_only_to_their_ports(rendered: RenderedChart) -> None:
    network = rendered.values["network"]

    assert network["operators"] != network["clients"]
    assert connections(rendered) == {
        ("api", 8000): network["clients"],
        ("api", 8001): network["operators"],
        ("live", 8090): network["clients"],
        ("live", 8091): network["operators"],
    }


def test_nothing_connects_to_the_operators_ports_until_operators_are_named() -> None:
    values = chart.merge_values(chart.example_values(), {"network": {"operators": []}})

    assert {port for _, port in connections(chart.render(values))} == {8000, 8090}
