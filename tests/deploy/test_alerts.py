"""Alerts and dashboards: valid expressions over metrics and labels that the service exports."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from smart_filter_shared.telemetry.metrics import LIVE_METRICS, METRICS, MetricKind

CHECKOUT = Path(__file__).parents[2]
PROMETHEUS = CHECKOUT / "deploy" / "prometheus"
GRAFANA = CHECKOUT / "deploy" / "grafana"
RUNBOOKS = CHECKOUT / "docs" / "runbooks"
RUNBOOK_BASE = "https://smart-filter.dev/runbooks/"
ALERTS: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
# promtool evaluates them (`make test-alerts`); it is in no package of ours.
TRIED = yaml.safe_load((CHECKOUT / "tests/deploy/alerts_fire.yml").read_text())["tests"]
EVERY_ALERT = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
SUFFIXES = {
    MetricKind.GAUGE: ("",),
    MetricKind.COUNTER: ("",),
    MetricKind.SUMMARY: ("_sum", "_count"),
    MetricKind.HISTOGRAM: ("_bucket", "_sum", "_count"),
}
# Labels that Prometheus adds to every scraped metric.
ADDED = {"job", "instance"}
SHOWN = {
    metric.name + suffix: {*metric.labels, *(("le",) if suffix == "_bucket" else ()), *ADDED}
    for metric in (*METRICS, *LIVE_METRICS)
    for suffix in SUFFIXES[metric.kind]
} | {"up": ADDED, "ALERTS": {"alertstate", "alertname"}}


def panels(path: Path) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = json.loads(path.read_text())["panels"]
    return shown


def expressions() -> Iterator[tuple[str, str]]:
    """Yield every expression with the name of its alert or panel."""
    for alert in ALERTS:
        yield alert["alert"], alert["expr"]
    for path in DASHBOARDS:
        for panel in panels(path):
            for target in panel.get("targets", []):
                yield f"{path.stem}: {panel['title']} {target['refId']}", target["expr"]
        for entry in json.loads(path.read_text())["annotations"]["list"]:
            yield f"{path.stem}: {entry['name']}", entry["expr"]


EXPRESSIONS = dict(expressions())


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expression_uses_exported_metrics(name: str) -> None:
    parsed = promql_parser.parse(EXPRESSIONS[name])
    selectors: list[promql_parser.VectorSelector] = []
    grouped: set[str] = set()

    def look(part: object) -> bool:
        if isinstance(part, promql_parser.VectorSelector):
            selectors.append(part)
        if isinstance(part, promql_parser.AggregateExpr) and part.modifier is not None:
            grouped.update(part.modifier.labels)
        return True

    promql_parser.walk(parsed, look)

    assert selectors
    for selector in selectors:
        assert selector.name in SHOWN
        assert {matcher.name for matcher in selector.matchers.matchers} <= SHOWN[selector.name]
    assert grouped <= set.union(*(SHOWN[selector.name] for selector in selectors))


@EVERY_ALERT
def test_alert_names_its_runbook(alert: dict[str, Any]) -> None:
    named = re.sub(r"(?<!^)(?=[A-Z])", "-", alert["alert"]).lower()

    assert alert["annotations"]["runbook_url"] == f"{RUNBOOK_BASE}{named}"
    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert (RUNBOOKS / f"{named}.md").read_text().startswith(f"# {alert['alert']}\n")


@EVERY_ALERT
def test_alert_has_a_test_where_it_fires_and_one_where_it_is_silent(alert: dict[str, Any]) -> None:
    outcomes = {
        bool(entry["exp_alerts"])
        for one in TRIED
        for entry in one["alert_rule_test"]
        if entry["alertname"] == alert["alert"]
    }

    assert outcomes == {True, False}


def test_dashboards_use_provisioned_sources() -> None:
    entry = yaml.safe_load((GRAFANA / "provisioning/datasources/smart-filter.yaml").read_text())
    sources = {datasource["uid"] for datasource in entry["datasources"]}

    for path in DASHBOARDS:
        asked = set(
            re.findall(r'"datasource": \{\s*"type": "\w+",\s*"uid": "(\w+)"', path.read_text())
        )
        assert asked
        assert asked <= sources


def test_prometheus_scrapes_services_of_compose_on_their_ports() -> None:
    jobs = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]
    services = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())["services"]
    image = (CHECKOUT / "Dockerfile.api").read_text()
    api = json.loads(image.partition("\nCMD ")[2].partition("\n")[0])

    for job in jobs:
        (place,) = job["dns_sd_configs"]
        (name,) = place["names"]
        assert job["job_name"] == name
        # The API's command is that of its image.
        command = services[name].get("command", api)
        assert command[command.index("--operators-port") + 1] == str(place["port"])
        assert "watching" in services[name]["networks"]
