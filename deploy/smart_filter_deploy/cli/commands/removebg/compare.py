"""`smart-filter removebg compare`: sends photos to remove.bg and to a server, and compares them."""

import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

import click
from rich.status import Status
from rich.text import Text

from smart_filter_deploy.cli.commands.options import json_option
from smart_filter_deploy.cli.removebg import (
    REMOVE_BG_HOST,
    comparison,
    interface,
    setup_checks,
    sheet,
)
from smart_filter_deploy.cli.removebg.comparison import ComparedPhoto, FoundPhotos, Side
from smart_filter_deploy.cli.removebg.ledger import Ledger, Record
from smart_filter_deploy.cli.removebg.sheet import SheetRow
from smart_filter_deploy.cli.server.connection import Server, choose_server
from smart_filter_deploy.cli.terminal.console import EscapingConsole
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

_THEIR_URL: Final = f"https://{REMOVE_BG_HOST}"
_THEIR_KEY: Final = "REMOVEBG_API_KEY"
_SHEET: Final = "index.html"
# Most photos of one sheet, which has about 50 kB for each.
_MAX_PHOTOS: Final = 500
_DEFAULT_PHOTOS: Final = 50


@click.command(
    epilog=examples(
        "REMOVEBG_API_KEY=… smart-filter removebg compare photos/",
        "REMOVEBG_API_KEY=… smart-filter removebg compare photos/ --size auto --limit 200 --yes",
    )
)
@click.argument(
    "folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option(
    "-o",
    "destination",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder for answers and sheet. Default: <DIR>.removebg in this folder.",
)
@click.option(
    "--theirs",
    "their_url",
    default=_THEIR_URL,
    show_default=True,
    metavar="URL",
    help="Base URL of the service to compare with.",
)
@click.option(
    "--size",
    type=click.Choice(("preview", "medium", "hd", "full", "auto")),
    default="preview",
    show_default=True,
    help="Size of the pictures; remove.bg charges least for preview.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, _MAX_PHOTOS),
    default=_DEFAULT_PHOTOS,
    show_default=True,
    metavar="N",
    help="Most photos to compare, in the order of their names.",
)
@click.option("--yes", "is_confirmed", is_flag=True, help="Do not ask before credits are spent.")
@json_option
@click.pass_context
def compare(
    ctx: click.Context,
    folder: Path,
    *,
    destination: Path | None,
    their_url: str,
    size: str,
    limit: int,
    is_confirmed: bool,
    as_json: bool,
) -> None:
    """Cut out the photos of a folder with remove.bg and with a server, and write a sheet.

    The key of remove.bg is read from REMOVEBG_API_KEY. The server is that of SMART_FILTER_URL, else
    the running local stack. The same command continues where it was interrupted: a photo is sent
    to remove.bg once, even if the answer was lost. The sheet is one HTML file with both cutouts of
    each photo, their sizes, seconds, credits and agreement.

    Exits with 1 if a photo was not cut out by both.
    """
    out = Path(f"{folder.resolve().name}.removebg") if destination is None else destination
    fields = {"size": size, "format": "png"}
    found = comparison.find_photos(folder)
    if not found.photos:
        raise CommandError(f"no JPEG, PNG or WebP photo in {folder}", WRONG_USAGE)
    photos = found.photos[:limit]
    server = choose_server()
    their_ledger = Ledger(out / "theirs", their_url, fields)
    our_ledger = Ledger(out / "ours", server.url, fields)
    unsent = comparison.count_unsent(photos, their_ledger)
    key = os.environ.get(_THEIR_KEY, "")
    if unsent:
        _refuse_wrong_target(their_url, key, server)
    console = EscapingConsole(stderr=True)
    rows = []
    with ExitStack() as opened:
        theirs = Side(their_ledger, opened.enter_context(interface.open_interface(their_url, key)))
        ours = Side(
            our_ledger,
            opened.enter_context(interface.open_interface(server.url, server.api_key)),
        )
        comparison.read_credits(ours.interface, whose=server.url, variable="SMART_FILTER_API_KEY")
        if unsent:
            _confirm_cost(theirs, their_url, unsent, size, is_confirmed=is_confirmed)
        try:
            with Status("comparing", console=console) as status:
                for one in comparison.compare(
                    photos,
                    theirs,
                    ours,
                    fields,
                    on_photo=lambda path: status.update(Text(path.name)),
                ):
                    rows.append(_make_row(one, their_ledger, our_ledger))
                    if not as_json:
                        print_line(_describe(rows[-1]))
        except OSError as error:
            raise CommandError(
                f"{error.filename or out} cannot be written ({error.strerror})", PHOTO_FAILED
            ) from error
    path = out / _SHEET
    # Answers may hold half characters.
    path.write_bytes(sheet.render(rows, theirs=their_url, size=size).encode(errors="replace"))
    _print_end(found, rows, path, as_json=as_json)
    failed = any(row.their_record.error or row.our_record.error for row in rows)
    ctx.exit(PHOTO_FAILED if failed else ALL_SUCCEEDED)


def _refuse_wrong_target(their_url: str, key: str, server: Server) -> None:
    """End the command when photos cannot be sent to the other service."""
    if not key:
        raise CommandError(f"set {_THEIR_KEY} to the key of remove.bg", WRONG_USAGE)
    here = setup_checks.resolve(REMOVE_BG_HOST)
    if their_url == _THEIR_URL and setup_checks.points_here(here, server.url):
        raise CommandError(
            f"{REMOVE_BG_HOST} leads to your own network here; run this on a machine"
            " without that entry in /etc/hosts or DNS",
            WRONG_USAGE,
        )


def _confirm_cost(
    theirs: Side, their_url: str, unsent: int, size: str, *, is_confirmed: bool
) -> None:
    """Tell what will be sent and what it costs; end the command when that is declined."""
    total, free = comparison.read_credits(theirs.interface, whose=their_url, variable=_THEIR_KEY)
    cost = comparison.estimate_credits(unsent, size)
    print_line(
        f"{unsent} photos will be sent to {their_url}: at most {cost:g} credits (size {size});"
        f" the account has {total:g} credits and {free} free calls for previews",
        err=True,
    )
    if is_confirmed:
        return
    if not sys.stdin.isatty():
        raise CommandError("add --yes to send them", WRONG_USAGE)
    click.confirm("Send them?", abort=True, err=True)


def _make_row(one: ComparedPhoto, theirs: Ledger, ours: Ledger) -> SheetRow:
    return sheet.make_row(
        one.path,
        one.theirs,
        one.ours,
        their_picture=partial(theirs.picture, one.theirs_id),
        our_picture=partial(ours.picture, one.ours_id),
    )


def _describe(row: SheetRow) -> str:
    agreement = "" if row.iou is None else f", agreement {row.iou:.1%}"
    their, our = _outcome(row.their_record), _outcome(row.our_record)
    return f"{row.name}: theirs {their}, ours {our}{agreement}"


def _outcome(record: Record) -> str:
    return record.error or f"{record.seconds:.1f} s"


def _print_end(found: FoundPhotos, rows: list[SheetRow], path: Path, *, as_json: bool) -> None:
    left = len(found.photos) - len(rows)
    if as_json:
        items = [_document(row) for row in rows]
        print_json({"items": items, "sheet": str(path.absolute()), "left": left})
        return
    if found.skipped:
        print_line(f"{found.skipped} files are no JPEG, PNG or WebP of at most 22 MB", err=True)
    if left:
        print_line(f"{left} more photos: raise --limit", err=True)
    print_line(str(path))


def _document(row: SheetRow) -> Mapping[str, object]:
    return {
        "photo": escape_unprintable(row.name),
        "iou": None if row.iou is None else round(row.iou, 4),
        **{
            side: {
                "seconds": record.seconds,
                "credits": record.credits,
                "size": size,
                "error": escape_unprintable(record.error) or None,
            }
            for side, record, size in (
                ("theirs", row.their_record, row.their_pixels),
                ("ours", row.our_record, row.our_pixels),
            )
        },
    }
