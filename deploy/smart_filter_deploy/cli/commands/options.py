"""Options that many commands share: --json, and the default of --threads."""

import os

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def default_threads() -> int:
    """Return the default number of worker threads: at least two, so that transfers overlap work."""
    return max(2, os.cpu_count() or 1)
