"""Write Content Credentials into finished files: what was changed, and by which version.

They name no file, address or person. The library reads neither the photo nor the background, whose
own credentials could hold a thumbnail or a location, and it has no network.
Source: C2PA 2.2, 18.15 (actions) and 10.3.2.2 (claim generator info).
"""

import contextlib
import dataclasses
import io
import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final, TypeVar

from PIL import Image

from smart_filter_shared.config.settings import ProvenanceSettings
from smart_filter_shared.errors import SetupFailed, TryAgain
from smart_filter_shared.extras import install_hint
from smart_filter_shared.security import signing_certificate
from smart_filter_workers.images import encoding
from smart_filter_workers.results import COMPOSING_EDITS, Edit, EncodedFile

_NAME: Final = "Smart Filter"
_PHOTO, _BACKGROUND = "photo", "background"
_ACTIONS: Final[Mapping[Edit, str]] = {
    Edit.FACES_REPLACED: "c2pa.edited",
    Edit.BACKGROUND_REPLACED: "c2pa.edited",
    Edit.BACKGROUND_REMOVED: "c2pa.edited",
    Edit.BACKGROUND_BLURRED: "c2pa.filtered",
    Edit.LIGHT_CORRECTED: "c2pa.color_adjustments",
    Edit.FILTERED: "c2pa.edited",
    Edit.LOGO_ADDED: "c2pa.edited",
    Edit.RESIZED: "c2pa.resized",
    Edit.CROPPED: "c2pa.cropped",
}
# No thumbnails: they would take more bytes than all else. An empty list allows no host.
_LIBRARY_SETTINGS: Final = {
    "builder": {"thumbnail": {"enabled": False}},
    "core": {"allowed_network_hosts": []},
    "verify": {
        "ocsp_fetch": False,
        "remote_manifest_fetch": False,
        # The operator may use a certificate that no list trusts.
        "verify_trust": False,
        "verify_timestamp_trust": False,
    },
}
_VALID: Final = {"Valid", "Trusted"}

Result = TypeVar("Result")


class CredentialSigner:
    """Signs files with the operator's certificate; safe for threads.

    The library takes 25 MB of memory, and is loaded when the first file is signed.
    """

    def __init__(self, settings: ProvenanceSettings) -> None:
        self._certificate = settings.certificate
        self._key = settings.key

    def ensure_works(self) -> None:
        """Sign a small file and verify it, if there is a certificate.

        Raises SetupFailed with one line for a certificate or key that cannot be used.
        """
        if self._certificate is None and self._key is None:
            return
        if self._certificate is None or self._key is None:
            present, absent = signing_certificate.CERTIFICATE, signing_certificate.KEY
            if self._certificate is None:
                present, absent = absent, present
            raise SetupFailed(f"{present} is set and {absent} is not; set both, or none")
        signing_certificate.ensure_valid(self._certificate)
        signing_certificate.ensure_pair(self._certificate, self._key.get_secret_value())
        file = io.BytesIO()
        Image.new("RGB", (8, 8)).save(file, "JPEG")
        try:
            signed = self.sign(EncodedFile(file.getvalue(), "image/jpeg", 8, 8, "jpg", edits=()))
            fault = find_fault(signed.content, signed.media_type)
        except _library().C2paError as error:
            fault = str(error)
        if fault is not None:
            raise SetupFailed(
                f"{signing_certificate.CERTIFICATE} cannot sign Content Credentials ({fault});"
                " set one for email protection or document signing, which a web server's is not,"
                " or unset it: docs/provenance.md says how to get one"
            )

    def sign_files(self, result: Result) -> Result:
        """Return a stage's result with each file signed that is to carry its provenance.

        Raises TryAgain when this worker has no valid certificate and key; another may have.
        """
        # mypy cannot see that `result` is a dataclass; every result is.
        fields = dataclasses.fields(result)  # type: ignore[arg-type]
        files = {field.name: getattr(result, field.name) for field in fields}
        signed = {
            name: self.sign(file)
            for name, file in files.items()
            if isinstance(file, EncodedFile) and file.edits is not None
        }
        if not signed:
            return result
        changed: Result = dataclasses.replace(result, **signed)  # type: ignore[type-var]
        return changed

    def sign(self, file: EncodedFile) -> EncodedFile:
        """Return a file with credentials that list its edits.  Raises TryAgain as `sign_files`."""
        if self._certificate is None or self._key is None:
            raise TryAgain(
                "Content Credentials need a certificate: set"
                f" {signing_certificate.CERTIFICATE} and {signing_certificate.KEY}"
            )
        try:
            signing_certificate.ensure_valid(self._certificate)
        except SetupFailed as error:
            raise TryAgain(str(error)) from error
        key = self._key.get_secret_value()
        algorithm = signing_certificate.algorithm_of(signing_certificate.read_key(key))
        c2pa = _library()
        # No address of a timestamp authority.
        signer = c2pa.C2paSignerInfo(
            algorithm.encode(), self._certificate.encode(), key.encode(), None
        )
        signed = io.BytesIO()
        with (
            c2pa.Context.from_dict(_LIBRARY_SETTINGS) as context,
            c2pa.Signer.from_info(signer) as signing,
            c2pa.Builder(json.dumps(make_manifest(file)), context) as builder,
        ):
            builder.sign(signing, file.media_type, io.BytesIO(file.content), signed)
        return dataclasses.replace(file, content=signed.getvalue())


def make_manifest(file: EncodedFile) -> dict[str, object]:
    """Return the definition of a file's credentials, as the library reads it."""
    agent = {"name": _NAME, "version": version("smart-filter")}
    edits = file.edits or ()
    ingredients = [_ingredient(_PHOTO, "parentOf")]
    actions: list[dict[str, object]] = [_action_with("c2pa.opened", _PHOTO)]
    for edit in edits:
        action: dict[str, object] = {
            "action": _ACTIONS[edit],
            "description": str(edit),
            "softwareAgent": agent,
        }
        if edit in COMPOSING_EDITS:
            action["digitalSourceType"] = encoding.COMPOSITE
        if edit == Edit.FACES_REPLACED:
            action["description"] = _describe_swaps(edit, file.swaps)
        actions.append(action)
        if edit == Edit.FACES_REPLACED:
            for source in dict.fromkeys(source for _, source in file.swaps):
                ingredients.append(_ingredient(f"photo {source}", "componentOf"))
                actions.append(_action_with("c2pa.placed", f"photo {source}"))
        if edit == Edit.BACKGROUND_REPLACED:
            ingredients.append(_ingredient(_BACKGROUND, "componentOf"))
            actions.append(_action_with("c2pa.placed", _BACKGROUND))
    return {
        "claim_generator_info": [agent],
        "ingredients": ingredients,
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}}],
    }


def _describe_swaps(edit: Edit, swaps: tuple[tuple[int, int], ...]) -> str:
    listed = ", ".join(f"person {person} from photo {source}" for person, source in swaps)
    return f"{edit.removesuffix('.')}: {listed}."


def find_fault(content: bytes, media_type: str) -> str | None:
    """Return why a file's credentials are not valid, or None; trust lists are not asked."""
    c2pa = _library()
    with (
        c2pa.Context.from_dict(_LIBRARY_SETTINGS) as context,
        c2pa.Reader(media_type, io.BytesIO(content), context=context) as reader,
    ):
        if reader.get_validation_state() in _VALID:
            return None
        manifest = (reader.get_validation_results() or {}).get("activeManifest", {})
        return ", ".join(failure["code"] for failure in manifest.get("failure", ())) or "not valid"


def _ingredient(title: str, relationship: str) -> dict[str, str]:
    return {
        "title": title,
        "label": title,
        "instance_id": f"smart-filter:{title}",
        "relationship": relationship,
    }


def _action_with(action: str, ingredient: str) -> dict[str, object]:
    return {"action": action, "parameters": {"ingredientIds": [ingredient]}}


def _library() -> Any:  # noqa: ANN401 - its types are partial
    """Return the module `c2pa`, loading it at its first use."""
    # It prefers a library in the working folder to that of its own package.
    try:
        with contextlib.chdir("/"):
            import c2pa  # noqa: PLC0415 - it loads a library of 23 MB
    except ModuleNotFoundError as error:
        raise SetupFailed(
            f"{signing_certificate.CERTIFICATE} needs a package that is not installed (c2pa): unset"
            f" it, or {install_hint('c2pa')}"
        ) from error

    return c2pa
