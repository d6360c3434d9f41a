"""Dockerfiles: a linter's and our own rules; no image is built here."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).parents[2]
FILES = ("Dockerfile.api", "Dockerfile.gpu-worker")
# Images of others are named in these files; the first one pins them.
PINNED = (
    *("deploy/pin_images.sh", *FILES, "docker-compose.yml"),
    *("deploy/compose.tls.yml", "deploy/compose.release.yml"),
)
VARIANTS = ("cpu", "cpu-torch", "gpu")
LOCKS = ("api", "build", *(f"worker-{name}" for name in VARIANTS))
# The CUDA of each build on the registry, read from the nvidia packages that its extras need. A new
# version needs a new line; None: it has no GPU code.
BUILT_FOR_CUDA = {
    ("onnxruntime-gpu", "1.31.1"): "13",
    ("tensorflow-cpu", "2.21.0"): None,
}
# None of the default models needs them.
FRAMEWORKS = {"fonttools", "h5py", "keras", "libclang", "matplotlib", "tensorboard"}


def instructions(name: str) -> list[tuple[str, str]]:
    """Return a Dockerfile's instructions with their arguments, each in one line."""
    text = re.sub(r"^#.*\n", "", (CHECKOUT / name).read_text(), flags=re.MULTILINE)
    joined = text.replace("\\\n", " ").splitlines()
    return [(word, " ".join(rest.split())) for word, _, rest in (x.partition(" ") for x in joined)]


@pytest.mark.parametrize("name", FILES)
def test_linter_reports_nothing(name: str) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")  # of the extra `dev`

    ended = subprocess.run(
        [hadolint, "--no-color", name], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )

    assert (ended.returncode, ended.stdout) == (0, "")


@pytest.mark.parametrize("name", FILES)
def test_image_runs_without_privileges_or_secrets(name: str) -> None:
    given = instructions(name)

    last_from = max(index for index, (word, _) in enumerate(given) if word == "FROM")
    users = [rest for word, rest in given[last_from:] if word == "USER"]
    assert users == ["10001:10001"]
    assert ("ENTRYPOINT", '["smart-filter"]') in given
    values = [rest for word, rest in given if word in {"ARG", "ENV"}]
    assert not [rest for rest in values if re.search(r"PASSWORD|SECRET|_KEY|TOKEN", rest)]


@pytest.mark.parametrize("name", FILES)
def test_image_builds_where_the_engine_is_older_or_podman(name: str) -> None:
    given = instructions(name)

    defaults = dict(rest.split("=", 1) for word, rest in given if word == "ARG" and "=" in rest)
    bases = [
        re.sub(r"^\$\{(\w+)\}", lambda found: defaults[found[1]], rest)
        for word, rest in given
        if word == "FROM"
    ]
    stages = {base.rpartition(" AS ")[2] for base in bases if " AS " in base}
    foreign = [base for base in bases if base.partition(" ")[0] not in stages | {"run-${VARIANT}"}]
    checks = [rest for word, rest in given if word == "HEALTHCHECK"]

    # Without a registry in the name Podman asks which one is meant.
    assert [base for base in foreign if not base.startswith(("docker.io/", "build-$"))] == []
    assert [check for check in checks if "--start-interval" in check] == []


def test_worker_image_has_every_variant_and_no_telemetry() -> None:
    given = instructions("Dockerfile.gpu-worker")

    stages = {rest.rpartition(" AS ")[2] for word, rest in given if word == "FROM"}
    variables = " ".join(rest for word, rest in given if word == "ENV")
    assert {f"{part}-{name}" for part in ("build", "run") for name in VARIANTS} <= stages
    assert "ORT_DISABLE_TELEMETRY=1" in variables.split()


def test_worker_image_builds_without_foreign_hosts_unless_arguments_name_them() -> None:
    given = instructions("Dockerfile.gpu-worker")
    compose = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())
    handed = compose["services"]["prepare"]["build"]["args"]

    first_from = next(index for index, (word, _) in enumerate(given) if word == "FROM")
    stage = ""
    indexes = {}
    for word, rest in given[first_from:]:
        if word == "FROM":
            stage = rest.rpartition(" AS ")[2]
        if word == "ARG" and rest.startswith("TORCH="):
            indexes[stage] = rest
    assert ("ARG", "VARIANT=cpu") in given[:first_from]
    assert indexes.keys() == {"build-cpu-torch"}
    assert ("ARG", "DETECTRON2") in given
    # Without a value compose passes on what the shell or `.env` sets, else the file's default.
    assert handed == {"VARIANT": "${WORKER_VARIANT:-cpu}", "TORCH": None, "DETECTRON2": None}


@pytest.mark.parametrize(("name", "lock"), [(FILES[0], "api"), (FILES[1], "worker-${VARIANT}")])
def test_change_of_our_code_rebuilds_no_package(name: str, lock: str) -> None:
    given = instructions(name)
    sources = [
        index for index, (word, rest) in enumerate(given) if (word, rest) == ("COPY", "api api")
    ]
    (code,) = sources

    later = [rest for word, rest in given[code:] if word == "RUN"]

    assert f"requirements/{lock}.lock" in " ".join(rest for _, rest in given[:code])
    assert [rest for rest in later if "--require-hashes" in rest or "torch" in rest] == []
    final = [rest for word, rest in given if word == "COPY" and rest.startswith("--from=")]
    assert final[0].startswith("--from=packages ")
    assert final[1] == "--from=code /code /opt/smart-filter"


def pins(lock: str) -> dict[str, str]:
    """Return the version of each package of a lock file, markers included."""
    text = (CHECKOUT / f"requirements/{lock}.lock").read_text()
    return dict(re.findall(r"^([\w.-]+)==(.*?) \\$", text, re.MULTILINE))


def test_frameworks_have_the_versions_of_the_model_tests() -> None:
    tested, developed, torch = pins("models"), pins("dev"), pins("torch")

    for lock in ("worker-cpu-torch", "worker-gpu"):
        pinned = pins(lock)
        assert pinned["tensorflow-cpu"] == tested["tensorflow-cpu"]
        assert (pinned["keras"], pinned["h5py"]) == (tested["keras"], tested["h5py"])
    gpu, cpu = pins("worker-gpu"), pins("worker-cpu")
    assert torch.keys() == {"torch", "torchvision"}
    assert torch.items() <= gpu.items()
    assert "onnxruntime" not in gpu  # two builds would shadow each other
    assert gpu["onnxruntime-gpu"] == cpu["onnxruntime"] == developed["onnxruntime"]


def test_gpu_image_has_one_cuda() -> None:
    given = dict(
        rest.split("=", 1) for word, rest in instructions(FILES[1]) if word == "ARG" and "=" in rest
    )
    gpu = pins("worker-gpu")
    # torch needs NVIDIA's packages of this CUDA.
    torch_cuda = ".".join(gpu["cuda-toolkit"].split(".")[:2])
    images = [re.findall(r"cuda:([\d.]+)-", given[name]) for name in ("CUDA_BUILD", "CUDA_RUN")]

    needed = {
        BUILT_FOR_CUDA[name, gpu[name]]
        for name in ("onnxruntime-gpu", "tensorflow-cpu", "tensorflow")
        if name in gpu
    }

    assert images[0] == images[1]
    assert images[0][0].startswith(f"{torch_cuda}.")
    assert needed == {torch_cuda.partition(".")[0], None}


def test_small_image_has_no_framework() -> None:
    small, large = pins("worker-cpu").keys(), pins("worker-cpu-torch").keys()

    assert {name for name in small if name in FRAMEWORKS or "tensorflow" in name} == set()
    assert large >= small | FRAMEWORKS


@pytest.mark.parametrize("lock", LOCKS)
def test_images_have_the_tested_versions(lock: str) -> None:
    tested = {name: version.partition(" ;")[0] for name, version in pins("dev").items()}
    # With Python 3.12, the lock for 3.11 and later selects another fork.
    forked = {"numpy", "scipy"}

    pinned = {name: version.partition(" ;")[0] for name, version in pins(lock).items()}

    assert pinned
    other = {name for name in pinned.keys() & tested.keys() if pinned[name] != tested[name]}
    assert other - forked == set()


@pytest.mark.parametrize("name", FILES)
def test_packages_are_installed_by_their_digest(name: str) -> None:
    runs = " && ".join(rest for word, rest in instructions(name) if word == "RUN")
    installs = re.findall(r"pip (?:--python \S+ )?(?:install|wheel) (.*?)(?= && |$)", runs)

    # detectron2 is an argument, and wheels were built before.
    others = [
        install for install in installs if not re.search(r"--require-hashes|--no-index", install)
    ]

    found = [re.findall(r"DETECTRON2|--no-deps .* \.$", one) for one in others]
    assert found[:-1] == ([] if name == "Dockerfile.api" else [["DETECTRON2"]])
    assert re.fullmatch(r"--no-deps --no-build-isolation --wheel-dir \S+ \.", found[-1][0])


def test_torch_of_tests_is_installed_by_its_digest() -> None:
    script = (CHECKOUT / "deploy" / "bootstrap.sh").read_text()

    installs = re.findall(r"^ *(?:\[.*\] \|\| )?install (.*)$", script, re.MULTILINE)

    assert [install for install in installs if "--require-hashes" not in install] == [
        "--no-deps --no-build-isolation -e ."
    ]


def pin_images(folder: Path, *arguments: str, digest: str) -> subprocess.CompletedProcess[str]:
    """Run deploy/pin_images.sh in a copy of its files, with an engine that knows one digest."""
    for name in PINNED:
        place = folder / name
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, place)
    engine = folder / "programs" / "docker"
    engine.parent.mkdir(exist_ok=True)
    engine.write_text(f"#!/bin/sh\necho {digest}\n")
    engine.chmod(0o755)
    return subprocess.run(
        [folder / PINNED[0], *arguments],
        env={**os.environ, "PATH": f"{engine.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_images_of_others_are_pinned_and_renewed_by_one_command(tmp_path: Path) -> None:
    image = re.compile(r"docker\.io/[\w./-]+:[\w.-]+(?:@\S+)?")
    before = {name: image.sub("IMAGE", (CHECKOUT / name).read_text()) for name in PINNED[1:]}

    for digit in "01":
        digest = f"sha256:{digit * 64}"
        ended = pin_images(tmp_path, digest=digest)

        assert (ended.returncode, ended.stderr) == (0, "")
        texts = {name: (tmp_path / name).read_text() for name in PINNED[1:]}
        named = {one for text in texts.values() for one in image.findall(text)}
        assert len(named) == 13
        assert [one for one in named if not one.endswith(f"@{digest}")] == []
        assert {name: image.sub("IMAGE", text) for name, text in texts.items()} == before
        assert pin_images(tmp_path, "check", digest="").returncode == 0


def test_images_of_others_have_digests_in_every_file_or_in_none() -> None:
    text = "".join((CHECKOUT / name).read_text() for name in PINNED[1:])

    digests = re.findall(r"docker\.io/[\w./-]+:[\w.-]+(@sha256:[0-9a-f]{64})?", text)

    assert all(digests) or not any(digests)


def test_check_names_each_image_without_a_digest(tmp_path: Path) -> None:
    pin_images(tmp_path, digest=f"sha256:{'0' * 64}")
    compose = tmp_path / "docker-compose.yml"
    compose.write_text(re.sub(r"(valkey:[\w.-]+)@\S+", r"\1", compose.read_text()))

    ended = pin_images(tmp_path, "check", digest="")

    assert ended.returncode == 1
    assert ended.stderr.startswith("no digest: docker.io/valkey/valkey:")
    assert ended.stderr.count("no digest") == 1


def test_image_without_a_digest_leaves_the_files_as_they_are(tmp_path: Path) -> None:
    ended = pin_images(tmp_path, digest="not-found")

    assert ended.returncode == 1
    for name in PINNED:
        assert (tmp_path / name).read_bytes() == (CHECKOUT / name).read_bytes()


@pytest.mark.parametrize("name", FILES)
def test_images_have_the_version_of_the_package(name: str) -> None:
    version = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["version"]

    values = set(re.findall(r"smart-filter-[a-z-]+:(\d[0-9.]*\d)", (CHECKOUT / name).read_text()))

    assert values == {version}


def test_build_context_has_the_copied_files_and_no_secrets() -> None:
    allowed = {
        line[1:]
        for line in (CHECKOUT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = {
        source.replace("${VARIANT}", variant)
        for name in FILES
        for word, rest in instructions(name)
        if word == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
        for variant in VARIANTS
    }

    assert copied - allowed == set()
    assert {one for one in allowed if one.endswith(".lock")} <= copied
    assert "deploy/*" in (CHECKOUT / ".dockerignore").read_text().splitlines()
