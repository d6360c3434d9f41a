"""Content Credentials of image and cutout, read by the official library."""

import dataclasses
import io
import json
from importlib.metadata import version
from typing import Any
from xml.etree import ElementTree as ET

import c2pa
import numpy as np
import pytest
from PIL import Image

from smart_filter_shared.config.settings import ProvenanceSettings
from smart_filter_shared.errors import SetupFailed, TryAgain
from smart_filter_shared.recipe import Effort, Files, Filter, Format, Output, Provenance
from smart_filter_tests import certificates
from smart_filter_tests.composite_jobs import a_job, composite, decode_pixels
from smart_filter_wire.findings import TakeReport, TakeSwap
from smart_filter_workers.artifacts import content_credentials
from smart_filter_workers.artifacts.content_credentials import CredentialSigner
from smart_filter_workers.images import encoding
from smart_filter_workers.results import CompositeResult, EncodedFile

MARKED = Files(provenance=Provenance.C2PA)
IPTC_EXTENSION = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
BOTH = (Output.IMAGE, Output.CUTOUT)


@pytest.fixture(scope="module")
def signer() -> CredentialSigner:
    return CredentialSigner(certificates.settings(certificates.a_pair()))


def signed(signer: CredentialSigner, background: str, **recipe: object) -> CompositeResult:
    recipe = {"files": MARKED, **recipe}
    return signer.sign_files(composite(a_job(background, **recipe)))


def credentials_of(file: EncodedFile | None) -> dict[str, Any]:
    """Return the active manifest of a file whose credentials are valid."""
    assert file is not None
    assert content_credentials.find_fault(file.content, file.media_type) is None
    with c2pa.Reader(file.media_type, io.BytesIO(file.content)) as reader:
        assert reader.is_embedded()
        manifest: dict[str, Any] = json.loads(json.dumps(reader.get_active_manifest()))
    return manifest


def actions_of(file: EncodedFile | None) -> list[dict[str, Any]]:
    (assertion,) = credentials_of(file)["assertions"]
    actions: list[dict[str, Any]] = assertion["data"]["actions"]
    return actions


def source_type(file: EncodedFile | None) -> str | None:
    """Return the digital source type in a file's XMP."""
    assert file is not None
    packet = Image.open(io.BytesIO(file.content)).info.get("xmp")
    if packet is None:
        return None
    element = ET.fromstring(packet).find(f".//{{{IPTC_EXTENSION}}}DigitalSourceType")
    return None if element is None else element.text


@pytest.mark.parametrize("effort", list(Effort))
@pytest.mark.parametrize("format_", [Format.JPG, Format.PNG, Format.WEBP])
def test_picture_says_what_was_replaced_and_by_which_version(
    signer: CredentialSigner, format_: Format, effort: Effort
) -> None:
    files = dataclasses.replace(MARKED, effort=effort)

    image = signed(signer, "preset:sky", format=format_, files=files).image

    agent = {"name": "Smart Filter", "version": version("smart-filter")}
    assert agent.items() <= credentials_of(image)["claim_generator_info"][0].items()
    opened, edited, placed = actions_of(image)
    assert [action["action"] for action in (opened, edited, placed)] == [
        "c2pa.opened",
        "c2pa.edited",
        "c2pa.placed",
    ]
    assert edited["softwareAgent"] == agent
    assert edited["description"] == "The background was replaced."
    assert edited["digitalSourceType"] == encoding.COMPOSITE == source_type(image)


@pytest.mark.parametrize("format_", [Format.JPG, Format.PNG, Format.WEBP])
def test_marks_change_no_pixel(signer: CredentialSigner, format_: Format) -> None:
    marked = signed(signer, "preset:sky", format=format_).image
    plain = composite(a_job("preset:sky", format=format_)).image

    assert np.array_equal(decode_pixels(marked), decode_pixels(plain))


@pytest.mark.parametrize(
    ("background", "recipe", "edits", "is_composite"),
    [
        ("keep", {}, [], False),
        ("blur:0.8", {}, ["The background was blurred."], False),
        ("transparent", {}, ["The background was removed."], False),
        ("color:navy", {}, ["The background was replaced."], True),
        (
            "keep",
            {"filters": (Filter("caption", {"text": "Hello"}),)},
            ["Filters were drawn on the picture."],
            True,
        ),
    ],
)
def test_only_elements_that_were_added_make_a_composite(
    signer: CredentialSigner,
    background: str,
    recipe: dict[str, object],
    edits: list[str],
    is_composite: bool,  # noqa: FBT001 - pytest passes by name
) -> None:
    image = signed(signer, background, **recipe).image

    actions = actions_of(image)
    assert [action["description"] for action in actions if "description" in action] == edits
    assert any("digitalSourceType" in action for action in actions) == is_composite
    assert (source_type(image) == encoding.COMPOSITE) == is_composite


def test_cutout_says_that_the_background_was_removed(signer: CredentialSigner) -> None:
    result = signed(signer, "preset:sky", outputs=(*BOTH, Output.MATTE, Output.THUMBNAIL))

    assert [action.get("description") for action in actions_of(result.cutout)] == [
        None,
        "The background was removed.",
    ]
    assert source_type(result.cutout) is None
    for file in (result.matte, result.thumbnail):
        assert file is not None
        with pytest.raises(c2pa.C2paError.ManifestNotFound):
            c2pa.Reader(file.media_type, io.BytesIO(file.content))


def test_take_names_the_swaps_and_their_sources(signer: CredentialSigner) -> None:
    swaps = TakeSwap(1, 2, "the eyes are open"), TakeSwap(3, 2, "it was chosen")
    inputs = a_job("keep", files=MARKED, outputs=BOTH)
    inputs = dataclasses.replace(inputs, take=TakeReport(0, swaps))

    result = signer.sign_files(composite(inputs))

    for file in (result.image, result.cutout):
        _, swapped, placed, *_ = actions_of(file)
        assert swapped["description"] == (
            "Faces were replaced by the same people's in other photos:"
            " person 1 from photo 3, person 3 from photo 3."
        )
        assert swapped["digitalSourceType"] == encoding.COMPOSITE == source_type(file)
        assert placed["action"] == "c2pa.placed"
        titles = [ingredient["title"] for ingredient in credentials_of(file)["ingredients"]]
        assert titles == ["photo", "photo 3"]


def test_credentials_hold_neither_a_thumbnail_nor_the_name_of_a_background(
    signer: CredentialSigner,
) -> None:
    manifest = credentials_of(signed(signer, "preset:sky").image)

    assert "thumbnail" not in manifest
    assert [ingredient["title"] for ingredient in manifest["ingredients"]] == [
        "photo",
        "background",
    ]
    assert "sky" not in json.dumps(manifest)


def test_without_the_field_a_picture_has_no_marks(signer: CredentialSigner) -> None:
    plain = composite(a_job("preset:sky"))

    assert signer.sign_files(plain) is plain
    assert source_type(plain.image) is None


def test_changed_picture_is_noticed(signer: CredentialSigner) -> None:
    image = signed(signer, "preset:sky", format=Format.PNG).image
    content = bytearray(image.content)
    content[-20] ^= 1

    assert content_credentials.find_fault(bytes(content), image.media_type) == (
        "assertion.dataHash.mismatch"
    )


def test_working_pair_and_none_are_accepted_at_the_start(signer: CredentialSigner) -> None:
    signer.ensure_works()
    CredentialSigner(ProvenanceSettings()).ensure_works()


CERTIFICATE, KEY = certificates.a_pair()
_, OTHER_KEY = certificates.a_pair(days=100)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (certificates.settings(certificates.an_expired_pair()), r"_CERTIFICATE expired on \d{4}-"),
        (certificates.settings(certificates.a_pair(days_ago=-3)), "_CERTIFICATE is valid only"),
        (certificates.settings((CERTIFICATE, OTHER_KEY)), "_KEY is not the key of the first"),
        (ProvenanceSettings(certificate=CERTIFICATE), "_CERTIFICATE is set and .*_KEY is not"),
        (certificates.settings(certificates.a_web_server_pair()), "_CERTIFICATE cannot sign"),
    ],
    ids=["expired", "not yet valid", "another key", "no key", "of a web server"],
)
def test_wrong_certificate_is_one_line_at_the_start(given: ProvenanceSettings, why: str) -> None:
    with pytest.raises(SetupFailed, match=f"^SMART_FILTER_C2PA{why}") as refusal:
        CredentialSigner(given).ensure_works()

    assert "\n" not in str(refusal.value)


def test_worker_whose_certificate_expired_leaves_the_work_to_others() -> None:
    marked = composite(a_job("preset:sky", files=MARKED))

    for lacking in (ProvenanceSettings(), certificates.settings(certificates.an_expired_pair())):
        with pytest.raises(TryAgain, match="SMART_FILTER_C2PA_CERTIFICATE"):
            CredentialSigner(lacking).sign_files(marked)
