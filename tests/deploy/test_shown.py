"""What alerts and dashboards name is found in what a running API and a live worker show."""

import json
import re
from pathlib import Path

import httpx
import yaml

from smart_filter_tests.bench import Bench
from smart_filter_tests.serving import serving
from smart_filter_workers.live.measures import Measures

DEPLOY = Path(__file__).parents[2] / "deploy"
NAME = re.compile(r"\bsmart_filter_[a-z_]+")
SUFFIX = re.compile(r"_(bucket|sum|count)$")


def named() -> set[str]:
    """Return the names of metrics in every expression of alerts and dashboards."""
    rules = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"][0]["rules"]
    asked = [rule["expr"] for rule in rules]
    for path in (DEPLOY / "grafana/dashboards").glob("*.json"):
        for panel in json.loads(path.read_text())["panels"]:
            asked += [target["expr"] for target in panel.get("targets", [])]
    return {name for expression in asked for name in NAME.findall(expression)}


def test_running_service_shows_what_alerts_and_dashboards_name(bench: Bench) -> None:
    with serving(bench.settings) as url:
        shown = httpx.get(f"{url}/metrics", timeout=20).text
    shown += Measures().text(connections=0)

    told = dict(re.findall(r"^# TYPE (\S+) (\S+)$", shown, re.MULTILINE))
    unknown = {
        name
        for name in named()
        if name not in told and told.get(SUFFIX.sub("", name)) not in {"summary", "histogram"}
    }
    assert named()
    assert unknown == set()
