"""What images distribute: NOTICE files that are up to date, and a valid SBOM."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.validation.json import JsonStrictValidator

from smart_filter_docs import distributed, notices, sbom
from smart_filter_docs.distributed import IMAGES, ROOT
from smart_filter_workers.weights import packaged


@pytest.fixture(scope="module")
def document() -> str:
    return sbom.make_sbom()


@pytest.fixture(scope="module")
def components(document: str) -> list[dict[str, Any]]:
    components: list[dict[str, Any]] = json.loads(document)["components"]
    return components


@pytest.mark.parametrize("image", IMAGES)
def test_notices_are_up_to_date(image: str) -> None:
    text = (notices.FOLDER / f"NOTICE.{image}").read_text(encoding="utf-8")

    assert text == notices.render_notice(image), "run `make notices`"


@pytest.mark.parametrize(
    ("dockerfile", "notice"), [("api", "NOTICE.api"), ("gpu-worker", "NOTICE.worker-${VARIANT}")]
)
def test_images_hold_license_and_notice(dockerfile: str, notice: str) -> None:
    text = (ROOT / f"Dockerfile.{dockerfile}").read_text(encoding="utf-8")

    assert "COPY LICENSE /usr/share/doc/smart-filter/LICENSE\n" in text
    assert f"COPY deploy/notices/{notice} /usr/share/doc/smart-filter/NOTICE\n" in text


def test_every_package_states_a_license() -> None:
    silent = [
        package.name
        for package in distributed.list_packages()
        if "see its files" in package.license
    ]

    assert silent == []


def test_sbom_is_valid(document: str) -> None:
    assert JsonStrictValidator(sbom.SCHEMA_VERSION).validate_str(document) is None


def test_sbom_has_each_package_of_the_lock_files(components: list[dict[str, Any]]) -> None:
    libraries = {
        component["purl"]: component for component in components if component["type"] == "library"
    }

    assert libraries.keys() == {
        f"pkg:pypi/{package.name}@{package.version}" for package in distributed.list_packages()
    }
    assert all(library["licenses"] for library in libraries.values())


def test_sbom_has_the_digests_that_the_lock_files_pin(components: list[dict[str, Any]]) -> None:
    files = {
        component["name"]: {digest["content"] for digest in component["hashes"]}
        for component in components
        if component["type"] == "library" and "hashes" in component
    }
    pinned = (ROOT / "requirements/worker-cpu.lock").read_text(encoding="utf-8")
    (numpy,) = re.findall(r"^numpy==.*\\\n((?: +--hash=.*\n)+)", pinned, re.MULTILINE)

    assert files["numpy"] == set(re.findall(r"sha256:(\w+)", numpy))
    assert len(files) == sum(bool(package.sha256) for package in distributed.list_packages())


def test_packages_of_other_systems_are_in_no_image() -> None:
    names = {package.name for package in distributed.list_packages()}

    assert names & {"colorama", "tzdata", "uvloop"} == {"uvloop"}


def test_sbom_names_a_package_of_unknown_license(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    unknown = tmp_path / "licenses.toml"
    unknown.write_text("", encoding="utf-8")
    monkeypatch.setattr(distributed, "LICENSES", unknown)

    with pytest.raises(SystemExit, match=r"^sbom: the license of \S+ is unknown: run"):
        sbom.main()


def test_sbom_has_weights_with_digest_license_and_terms(
    components: list[dict[str, Any]],
) -> None:
    models = {
        component["name"]: component
        for component in components
        if component["type"] == "machine-learning-model"
    }

    def terms(name: str) -> str:
        facts = {model["name"]: model["value"] for model in models[name]["properties"]}
        return str(facts["smart-filter:commercial"])

    assert {name: one["hashes"] for name, one in models.items()} == {
        file.name: [{"alg": "SHA-256", "content": file.sha256}] for file in packaged.list_files()
    }
    assert all(model["licenses"] for model in models.values())
    assert (terms("face_landmark.tflite"), terms("centerface.onnx")) == ("yes", "no")
