"""`smart-filter preflight`: what `up` does before it starts servers, in a process of its own.

It holds settings, models and signatures, which the supervising process should not keep in memory.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import click

from smart_filter_deploy.cli import local_models
from smart_filter_deploy.cli.commands.options import FOLDER
from smart_filter_deploy.cli.terminal.text import print_json
from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_shared.config import settings
from smart_filter_shared.recipe.document_photos import document_photos
from smart_filter_shared.storage import opening


@click.command(hidden=True)
@click.option("--data", type=FOLDER)
def preflight(data: Path | None) -> None:
    """Check the settings, and download missing weights; print a live worker's variables as JSON."""
    settings.ensure_readable()
    _refuse_unusable_signature()
    _refuse_wrong_folders()
    document_photos()
    folder = DataFolder.at(data)
    local_models.fetch_missing(folder.part("weights"))
    print_json(select_live_settings(folder, os.environ))


def select_live_settings(folder: DataFolder, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a live worker reads; none has a secret but live video's own."""
    read = settings.variable_names(
        settings.LiveSettings, settings.EngineSettings, settings.BrowserSettings
    )
    chosen = {name: environ[name] for name in environ if name.upper() in read}
    return {**chosen, "SMART_FILTER_DATA": str(folder.path)}


def _refuse_unusable_signature() -> None:
    """Raise SetupFailed when the operator's certificate cannot sign Content Credentials."""
    provenance = settings.load_provenance()
    if provenance.certificate is None and provenance.key is None:
        return
    # Most operators set no certificate, and this takes 0.2 s of each start.
    from smart_filter_workers.artifacts.content_credentials import CredentialSigner  # noqa: PLC0415

    CredentialSigner(provenance).ensure_works()


def _refuse_wrong_folders() -> None:
    """Raise SetupFailed when the recipe of an S3 folder is never valid, or S3 is not installed."""
    folders = settings.load_s3_folders()
    if folders.folders:
        opening.ensure_s3_installed()
        # As above: most operators have none.
        from smart_filter_api.s3_folders import folder_stores  # noqa: PLC0415

        folder_stores.check_recipes(folders)
