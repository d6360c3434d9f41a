"""Prints the findings of checks: one line each, with its level in color."""

from rich.console import Console
from rich.text import Text

from smart_filter_deploy.doctor.findings import Finding, Level

_STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


def print_finding(console: Console, finding: Finding) -> None:
    """Print a finding with its remedy."""
    line = finding.line()
    level = (finding.level, _STYLES[finding.level])
    console.print(Text.assemble(level, Text(line[len(finding.level) :])), soft_wrap=True)
