"""Published clients of remove.bg, unchanged, against a service that answers as api.remove.bg.

The service and the clients run in a network of their own, where /etc/hosts leads api.remove.bg to
127.0.0.1 and port 443 is free. The packages are installed from the registries that npm and pip are
set up for; none of their code is in the repository.
"""

import base64
import contextlib
import io
import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from acceptance.isolated_network import IsolatedNetwork, isolate_network
from smart_filter_deploy.cli.server import program
from smart_filter_tests.full_stack import PHOTO
from smart_filter_tests.node_projects import install_packages, install_python_packages
from smart_filter_tests.patience import PATIENCE_SECONDS
from smart_filter_tests.tls_certificates import create_certificate

pytestmark = pytest.mark.slow

CLIENTS = Path(__file__).parents[1] / "data" / "removebg-client"
HOST = "api.remove.bg"
# Port 8080 is one of those that photos are fetched from.
PHOTO_URL = f"http://localhost:8080/{PHOTO.name}"
SIDE, PREVIEW_SIDE = 512, 500


@dataclass(slots=True)
class Service:
    """A service that answers as api.remove.bg, and the folder where its clients run."""

    network: IsolatedNetwork
    folder: Path
    authority: Path
    key: str

    def run(self, *command: str | Path, **variables: str) -> tuple[int, str]:
        """Run a client to its end; return its status and its output."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "NODE_NO_WARNINGS": "1",
            "NODE_EXTRA_CA_CERTS": str(self.authority),
            "REQUESTS_CA_BUNDLE": str(self.authority),
            "CURL_CA_BUNDLE": str(self.authority),
            "PYTHONIOENCODING": "utf-8",
            **variables,
        }
        with self.network.start([str(word) for word in command], environment) as client:
            out, err = client.communicate(timeout=PATIENCE_SECONDS)
        return client.returncode, out + err

    def picture(self, name: str) -> Image.Image:
        return Image.open(io.BytesIO((self.folder / name).read_bytes()))


@pytest.fixture(scope="module")
def service(
    data_folder: Path, weights_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("removebg") / "clients"
    certificate = create_certificate(folder.parent, HOST)
    data = data_folder / "as-removebg"
    data.mkdir(mode=0o711)
    (data / "weights").symlink_to(weights_folder)
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "SMART_FILTER_DATA": str(data)}
    files = ("--tls-certificate", str(certificate.chain), "--tls-key", str(certificate.key))
    site = ("-m", "http.server", "--bind", "127.0.0.1", "--directory", str(PHOTO.parent), "8080")
    with (
        isolate_network(folder, HOST) as network,
        network.start((sys.executable, *site), environment) as photos,
        network.start(program.command("up", "--json", "--no-live", *files), environment) as up,
    ):
        try:
            assert up.stdout is not None
            first = up.stdout.readline()
            assert first, up.communicate(timeout=PATIENCE_SECONDS)[1]
            shutil.copy(PHOTO, folder / "photo.png")
            yield Service(network, folder, certificate.chain, json.loads(first)["api_key"])
        finally:
            photos.kill()
            up.send_signal(signal.SIGTERM)
            with contextlib.suppress(ValueError):  # the pipes were read to their end
                up.communicate(timeout=PATIENCE_SECONDS)


@pytest.fixture(scope="module")
def node_modules() -> Path:
    return install_packages(CLIENTS) / "node_modules"


@pytest.fixture(scope="module")
def packages() -> Path:
    return install_python_packages(CLIENTS)


@pytest.mark.parametrize(
    "source", ["image_file=@photo.png", f"image_url={PHOTO_URL}"], ids=["file", "url"]
)
def test_curl_as_documented(service: Service, source: str) -> None:
    status, said = service.run(
        *("curl", "-H", f"X-API-Key: {service.key}", "-F", source, "-F", "size=auto"),
        *("-f", f"https://{HOST}/v1.0/removebg", "-o", "no-bg.png"),
    )

    assert status == 0, said
    picture = service.picture("no-bg.png")
    assert (picture.format, picture.mode, picture.size) == ("PNG", "RGBA", (SIDE, SIDE))


def test_client_that_does_not_trust_the_ca_refuses_the_service(service: Service) -> None:
    public = ("curl", f"https://{HOST}/v1.0/account")

    status, said = service.run(*public, CURL_CA_BUNDLE="/etc/ssl/certs/ca-certificates.crt")

    assert (status, "certificate" in said) == (60, True)


# Each method of PyPI's removebg: a file is written next to the photo, others where the caller says.
PYPI_REMOVEBG = """
import base64, sys
from removebg import RemoveBg
client = RemoveBg(sys.argv[1], "errors.log")
client.remove_background_from_img_file("photo.png", size="full", bg_color="green")
client.remove_background_from_img_url(sys.argv[2], new_file_name="from-url.png")
photo = base64.b64encode(open("photo.png", "rb").read())
client.remove_background_from_base64_img(photo, new_file_name="from-base64.png")
"""


def test_removebg_of_pypi(service: Service, packages: Path) -> None:
    command = (sys.executable, "-c", PYPI_REMOVEBG, service.key, PHOTO_URL)

    status, said = service.run(*command, PYTHONPATH=str(packages))

    assert status == 0, said
    assert service.picture("photo.png_no_bg.png").size == (SIDE, SIDE)
    for name in ("from-url.png", "from-base64.png"):
        picture = service.picture(name)
        assert (picture.mode, picture.size) == ("RGBA", (PREVIEW_SIDE, PREVIEW_SIDE))


def test_removebgplus_of_pypi(service: Service, packages: Path) -> None:
    call = "import sys; from removebgplus import RemoveBg; RemoveBg(sys.argv[1])"
    command = (sys.executable, "-c", f"{call}.remove_from_file('photo.png', 'plus.png')")

    status, said = service.run(*command, service.key, PYTHONPATH=str(packages))

    assert status == 0, said
    assert service.picture("plus.png").mode == "RGBA"


def test_removebg_cli_of_pypi_saves_a_picture(service: Service, packages: Path) -> None:
    options = ("-s", "full", "-f", "jpg", "-b", "ff0000", "-c", "--shadow", "-o", "cli.jpg")

    status, said = service.run(
        *(sys.executable, "-m", "removebg_cli", "photo.png", *options),
        PYTHONPATH=str(packages),
        REMOVE_BG_API_KEY=service.key,
    )

    assert status == 0, said
    picture = service.picture("cli.jpg")
    assert picture.format == "JPEG"
    assert max(picture.size) <= SIDE


def test_removebg_cli_of_pypi_shows_the_account(service: Service, packages: Path) -> None:
    command = (sys.executable, "-m", "removebg_cli", "--account")
    variables = {"PYTHONPATH": str(packages)}

    known = service.run(*command, REMOVE_BG_API_KEY=service.key, **variables)
    unknown = service.run(*command, REMOVE_BG_API_KEY="sf_live_wrong", **variables)

    assert known[0] == 0, known[1]
    assert "1000000" in known[1]
    # It says that the key is invalid for a 403 only.
    assert unknown[0] == 1
    assert "API Key" in unknown[1]


@pytest.fixture
def drive(service: Service, node_modules: Path) -> Path:
    """The program that calls the client of npm, next to its packages."""
    packages = service.folder / "node_modules"
    if not packages.is_symlink():
        packages.symlink_to(node_modules)
    return Path(shutil.copy(CLIENTS / "drive.js", service.folder))


ALL_OPTIONS: Mapping[str, object] = {
    "size": "full",
    "type": "auto",
    "scale": "50%",
    "position": "center",
    "crop": True,
    "crop_margin": "10%",
    "roi": "0% 0% 100% 100%",
    "channels": "rgba",
    "add_shadow": True,
    "bg_color": "81d4fa",
}


@pytest.mark.parametrize(
    ("kind", "source", "options", "found"),
    [
        ("FILE", "photo.png", ALL_OPTIONS, "JPEG"),
        ("FILE", "photo.png", {}, "PNG"),
        ("BASE64", "photo.png", {}, "PNG"),
        ("URL", PHOTO_URL, {"bg_image_url": PHOTO_URL}, "JPEG"),
    ],
    ids=["every option", "file", "base64", "url"],
)
def test_remove_bg_of_npm(
    service: Service,
    drive: Path,
    *,
    kind: str,
    source: str,
    options: Mapping[str, object],
    found: str,
) -> None:
    status, said = service.run("node", drive, service.key, kind, source, json.dumps(options))

    assert status == 0, said
    answer: dict[str, Any] = json.loads(said)
    picture = Image.open(io.BytesIO(base64.b64decode(answer["base64img"])))
    assert picture.format == found
    assert (answer["detectedType"], answer["creditsCharged"]) == ("person", "0.0")
    assert (int(answer["resultWidth"]), int(answer["resultHeight"])) == picture.size
    assert int(answer["rateLimitRemaining"]) > 0


def test_remove_bg_of_npm_gets_the_errors(service: Service, drive: Path) -> None:
    options = json.dumps({"size": "huge"})

    _, unknown_key = service.run("node", drive, "sf_live_wrong", "FILE", "photo.png", "{}")
    _, unknown_size = service.run("node", drive, service.key, "FILE", "photo.png", options)

    assert json.loads(unknown_key) == {
        "errors": [{"title": "API Key invalid", "code": "auth_failed"}]
    }
    assert json.loads(unknown_size)["errors"][0]["code"] == "invalid_size"


def test_removebg_wrapper_of_npm(service: Service, drive: Path) -> None:
    call = "require('removebg-wrapper').rbFromImageFile('photo.png', process.argv[1])"

    # The client's folder is the working directory, where it writes output.png.
    status, said = service.run("node", "-e", call, service.key)

    assert (status, said) == (0, "")
    assert drive.parent == service.folder
    assert service.picture("output.png").size == (SIDE, SIDE)
