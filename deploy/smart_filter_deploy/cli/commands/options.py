"""Options that many commands share: --json, kinds of paths, and the default of --threads."""

import os
from pathlib import Path

import click

EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
EXISTING_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
# Which a command may create.
FILE = click.Path(dir_okay=False, writable=True, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
PATH = click.Path(path_type=Path)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def default_threads() -> int:
    """Return the default number of worker threads: at least two, so that transfers overlap work."""
    return max(2, os.cpu_count() or 1)
