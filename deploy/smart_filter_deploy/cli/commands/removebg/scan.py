"""`smart-filter removebg scan`: finds the calls of remove.bg in a code base."""

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import click

from smart_filter_deploy.cli.commands.options import json_option
from smart_filter_deploy.cli.removebg import patch
from smart_filter_deploy.cli.removebg.call_sites import ADVICE, CallSite, Kind, find_call_sites
from smart_filter_deploy.cli.removebg.source_tree import SkippedFiles, SourceFile, read_sources
from smart_filter_deploy.cli.terminal.console import print_columns
from smart_filter_deploy.cli.terminal.exit_codes import (
    ALL_SUCCEEDED,
    PHOTO_FAILED,
    WRONG_USAGE,
    CommandError,
)
from smart_filter_deploy.cli.terminal.text import (
    escape_unprintable,
    examples,
    print_json,
    print_line,
)

# It stands in other programs' sources, so it has no character that ends a string or a command.
_URL: Final = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+(?:/[A-Za-z0-9._~/-]*)?")
_ANY_SERVER: Final = "https://YOUR-SERVER"
# Most call sites that are listed; a code base has dozens.
_MAX_SITES: Final = 10_000


@click.command(
    epilog=examples(
        "smart-filter removebg scan ~/src/shop",
        "smart-filter removebg scan . --url https://cutout.example.com --diff | git apply",
        "smart-filter removebg scan n8n-export.json --json | jq '.items[].advice'",
    )
)
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--url",
    metavar="URL",
    help="Base URL of your server, for advice and diff. Default: SMART_FILTER_URL.",
)
@click.option(
    "--diff", "as_diff", is_flag=True, help="Print a unified diff of the mechanical changes."
)
@json_option
@click.pass_context
def scan(
    ctx: click.Context, folder: Path, url: str | None, *, as_diff: bool, as_json: bool
) -> None:
    """Find the calls of remove.bg in a folder or file, and say what to change in each.

    Finds its address in any text file, and its clients for Python, JavaScript, Ruby, PHP, Go and
    the shell, and apps of workflows exported from n8n, Make and Zapier. Writes no file: apply the
    diff with `git apply` or `patch -p1`. Exits with 1 if a file could not be read or a limit was
    reached.
    """
    if as_diff and as_json:
        raise CommandError("--diff and --json exclude each other", WRONG_USAGE)
    base_url = _choose_url(url, is_needed=as_diff)
    skipped = SkippedFiles()
    sites: list[CallSite] = []
    files = 0
    for file in read_sources(folder, skipped):
        files += 1
        in_file = list(find_call_sites(file, base_url))[: _MAX_SITES - len(sites)]
        sites += in_file
        if as_diff:
            _print_diff(file, in_file)
        if len(sites) == _MAX_SITES:
            skipped.is_cut = True
            break
    is_complete = not skipped.is_cut and not skipped.unreadable_count
    if as_json:
        document = _document(sites, skipped, files, base_url)
        print_json({**document, "complete": is_complete})
    else:
        if not as_diff:
            _print_sites(sites, base_url)
        for line in _summarize(sites, skipped, files):
            print_line(line, err=True)
    ctx.exit(ALL_SUCCEEDED if is_complete else PHOTO_FAILED)


def _choose_url(url: str | None, *, is_needed: bool) -> str:
    """Return the base URL that stands in advice and diff."""
    given = url or os.environ.get("SMART_FILTER_URL")
    if not given:
        if is_needed:
            raise CommandError(
                "--diff needs your server's address: --url URL, or SMART_FILTER_URL", WRONG_USAGE
            )
        return _ANY_SERVER
    base_url = re.sub(r"(?:/v1\.0(?:/removebg)?)?/*$", "", given.strip())
    if not _URL.fullmatch(base_url):
        raise CommandError(
            f"--url: {given[:100]!r} is not a base URL such as https://cutout.example.com",
            WRONG_USAGE,
        )
    return base_url


def _print_diff(file: SourceFile, sites: Sequence[CallSite]) -> None:
    """Print a file's diff: byte for byte into a pipe, escaped on a terminal."""
    changes = {site.line - 1: site.replacement for site in sites if site.replacement is not None}
    if not changes:
        return
    diff = patch.format_diff(file.name, patch.split_lines(file.text), changes)
    if sys.stdout.isatty():
        for line in diff.split("\n")[:-1]:
            print_line(line)
    else:
        click.echo(diff.encode("utf-8", "surrogateescape"), nl=False)


def _print_sites(sites: Sequence[CallSite], url: str) -> None:
    if not sites:
        return
    print_columns(
        ("where", "what", "found", "change"),
        (
            (
                f"{escape_unprintable(site.file)}:{site.line}",
                site.kind,
                escape_unprintable(site.match),
                "--diff" if site.replacement is not None else "by hand",
            )
            for site in sites
        ),
    )
    for kind in dict.fromkeys(site.kind for site in sites):
        print_line(f"{kind}: {_advise(kind, url)}")


def _advise(kind: Kind, url: str) -> str:
    return ADVICE[kind].replace("{url}", url)


def _summarize(sites: Sequence[CallSite], skipped: SkippedFiles, files: int) -> Iterator[str]:
    mechanical = sum(site.replacement is not None for site in sites)
    where = len({site.file for site in sites})
    yield (
        f"{len(sites)} calls in {where} of {files} files; --diff changes {mechanical}"
        if sites
        else f"no call of remove.bg in {files} files"
    )
    counts = {
        "binary": skipped.binary,
        "larger than 2 MB": skipped.large,
        "links": skipped.links,
        "unreadable": skipped.unreadable_count,
    }
    left_out = [f"{count} {why}" for why, count in counts.items() if count]
    if left_out:
        yield f"left out: {', '.join(left_out)}"
    for path in skipped.unreadable:
        yield f"cannot read {path}"
    if skipped.is_cut:
        yield "the scan ended at a limit: scan parts of the folder"


def _document(
    sites: Sequence[CallSite], skipped: SkippedFiles, files: int, url: str
) -> Mapping[str, object]:
    return {
        "items": [
            {
                "file": escape_unprintable(site.file),
                "line": site.line,
                "column": site.column,
                "kind": site.kind,
                "match": escape_unprintable(site.match),
                "mechanical": site.replacement is not None,
                "advice": _advise(site.kind, url),
            }
            for site in sites
        ],
        "files": files,
        "skipped": {
            "binary": skipped.binary,
            "large": skipped.large,
            "links": skipped.links,
            "unreadable": skipped.unreadable_count,
        },
    }
