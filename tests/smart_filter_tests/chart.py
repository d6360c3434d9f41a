"""Render the Helm chart as `helm install` would, without a cluster."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import helm_python
import yaml

CHART = Path(__file__).parents[2] / "deploy" / "kubernetes"
RELEASE = "photos"
# A Kubernetes object as YAML: each kind has its own shape.
Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RenderedChart:
    """The objects of an installation, and the notes for its operator.

    values: everything it was made of, defaults included.
    """

    values: Mapping[str, Any]
    manifests: tuple[Manifest, ...]
    notes: str

    def of_kind(self, kind: str) -> list[Manifest]:
        return [manifest for manifest in self.manifests if manifest["kind"] == kind]

    def named(self, kind: str, name: str) -> Manifest:
        (manifest,) = (
            each for each in self.of_kind(kind) if each["metadata"]["name"] == f"{RELEASE}-{name}"
        )
        return manifest

    def pods(self) -> dict[str, Manifest]:
        """Every pod template, by the name of its controller without the release's name."""
        return {
            manifest["metadata"]["name"].removeprefix(f"{RELEASE}-"): manifest["spec"]["template"]
            for manifest in self.manifests
            if manifest["kind"] in {"Deployment", "Job"}
        }

    def containers(self) -> Iterator[Manifest]:
        for pod in self.pods().values():
            yield from pod["spec"].get("initContainers", ())
            yield from pod["spec"]["containers"]


def example_values() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((CHART / "example-values.yaml").read_text())
    return values


def merge_values(values: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Merge values with more of them, as Helm merges files of values."""
    return {
        **values,
        **{
            name: merge_values(values[name], value)
            if isinstance(value, Mapping) and isinstance(values.get(name), Mapping)
            else value
            for name, value in more.items()
        },
    }


def environment(container: Manifest) -> dict[str, Manifest]:
    """Return a container's environment variables by name."""
    variables = {variable["name"]: variable for variable in container["env"]}
    assert len(variables) == len(container["env"]), "a variable stands there twice"
    return variables


def render(values: Mapping[str, Any], *, release: str = RELEASE) -> RenderedChart:
    """Render the chart.  Raises helm_python.HelmError where Helm would refuse the values."""
    with helm_python.Chart.load(CHART) as chart:
        merged = chart.merge_values(dict(values))
        files = chart.render(dict(values), name=release, namespace="default")
    manifests = [
        manifest
        for path, text in files.items()
        if path.endswith(".yaml")
        for manifest in yaml.safe_load_all(text)
        if manifest
    ]
    (notes,) = (text for path, text in files.items() if path.endswith("NOTES.txt"))
    return RenderedChart(merged, tuple(manifests), notes)
