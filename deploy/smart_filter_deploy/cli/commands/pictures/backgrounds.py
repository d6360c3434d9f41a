"""`smart-filter backgrounds`: lists and changes backgrounds."""

from collections.abc import Sequence
from pathlib import Path

import click
from rich.text import Text

from smart_filter_deploy.cli.commands.options import EXISTING_FILE, json_option
from smart_filter_deploy.cli.server.backends import find_storage, open_backends
from smart_filter_deploy.cli.server.pictures import (
    AddedPicture,
    ListedPicture,
    RestPictures,
    document_of,
    open_pictures,
)
from smart_filter_deploy.cli.terminal.console import (
    EscapingConsole,
    facts_table,
    print_columns,
    print_table,
)
from smart_filter_deploy.cli.terminal.exit_codes import (
    ALL_SUCCEEDED,
    PHOTO_FAILED,
    CommandError,
    print_error,
)
from smart_filter_deploy.cli.terminal.text import examples, print_json, print_line
from smart_filter_shared.errors import PictureRefused, UnusablePhoto
from smart_filter_shared.ids import Tenant
from smart_filter_shared.presets import PRESETS
from smart_filter_shared.stock import descriptions
from smart_filter_shared.stock.descriptions import GivenDescription
from smart_filter_workers.stock import ingest, providers, syncing
from smart_filter_workers.stock.ingest import Outcome
from smart_filter_workers.stock.syncing import SyncReport

_DATABASE = "the server's database: set SMART_FILTER_DATABASE_URL and SMART_FILTER_STORAGE_URL"
# Smallest side without a warning; larger photos need the picture enlarged behind them.
_MIN_SIDE_PX = 1080
_replace_option = click.option(
    "--replace", "may_replace", is_flag=True, help="Replace an existing picture of the same name."
)
_MAX_TENANT_CHARACTERS = 100


def _parse_tenant(_: click.Context, __: click.Parameter, text: str | None) -> Tenant | None:
    """Parse a tenant's name; None is the operator, whose pictures all tenants can use."""
    if text is not None and not (
        text and text.isprintable() and len(text) <= _MAX_TENANT_CHARACTERS and "/" not in text
    ):
        raise click.BadParameter(f"{text[:_MAX_TENANT_CHARACTERS]!r} is not a tenant's name")
    return None if text is None else Tenant(text)


_tenant_option = click.option(
    "--tenant",
    callback=_parse_tenant,
    metavar="NAME",
    help="Owner: `preset:tenant/…`. Default: all tenants, `preset:site/…`.",
)


@click.group(
    epilog=examples(
        "smart-filter backgrounds list",
        "smart-filter backgrounds add lobby.jpg --tags office,glass",
        "smart-filter run me.jpg --background preset:site/lobby",
    )
)
def backgrounds() -> None:
    """List backgrounds; add your own pictures, for all tenants or for one.

    Uses SMART_FILTER_DATABASE_URL and SMART_FILTER_STORAGE_URL, else the local stack of
    `smart-filter up`. With SMART_FILTER_URL and SMART_FILTER_API_KEY instead, add, list and remove
    use your own pictures on that server.
    """


@backgrounds.command(
    short_help="Add pictures as backgrounds.",
    epilog=examples(
        "smart-filter backgrounds add lobby.jpg",
        "smart-filter backgrounds add logo.png --logo --tenant acme",
        "smart-filter backgrounds add beach/*.jpg --tenant acme --tags beach,sea --moods calm",
    ),
)
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=EXISTING_FILE,
)
@_tenant_option
@click.option(
    "--name", metavar="NAME", help="Name, for a single file. Default: from the file name."
)
@click.option("--title", metavar="TEXT", help="Title, for a single file. Default: the file name.")
@click.option(
    "--tags", metavar="A,B", help="Keywords for the content. Default: the words of the file name."
)
@click.option(
    "--moods", metavar="A,B", help="Moods that fit. Default: estimated from brightness and color."
)
@click.option(
    "--logo",
    "is_logo",
    is_flag=True,
    help="Add logos, which recipes name as `logo`; they keep their transparency.",
)
@_replace_option
@json_option
def add(
    files: tuple[Path, ...],
    *,
    tenant: Tenant | None,
    name: str | None,
    title: str | None,
    tags: str | None,
    moods: str | None,
    is_logo: bool,
    may_replace: bool,
    as_json: bool,
) -> int:
    """Add pictures as backgrounds; adding the same picture again updates its metadata.

    Accepts photo formats and limits: JPEG, PNG, WebP, AVIF, HEIC, GIF, BMP and TIFF. Transparent
    areas become white.
    """
    given = _parse_words(files, name=name, title=title, tags=tags, moods=moods)
    done = SyncReport()
    with open_pictures(tenant) as pictures:
        if moods is not None and isinstance(pictures, RestPictures):
            raise CommandError(f"--moods needs {_DATABASE}")
        for file in files:
            try:
                added = pictures.add(
                    ingest.read_file(file),
                    descriptions.describe(file.name, given),
                    is_logo=is_logo,
                    may_replace=may_replace,
                )
            except (PictureRefused, UnusablePhoto) as error:
                done.refused[str(file)] = str(error)
                continue
            done.done[added.outcome].append(added.name)
            if not is_logo:
                _warn_when_small(added)
    return _end(done, as_json=as_json)


@backgrounds.command(
    short_help="Synchronize backgrounds with a folder or a bucket.",
    epilog=examples(
        "smart-filter backgrounds sync our-pictures/ --delete",
        "smart-filter backgrounds sync s3://pictures/office --tenant acme",
    ),
)
@click.argument("address", metavar="DIR|s3://BUCKET/PREFIX")
@_tenant_option
@click.option("--delete", is_flag=True, help="Delete backgrounds whose source file is gone.")
@_replace_option
@json_option
def sync(
    address: str,
    *,
    tenant: Tenant | None,
    delete: bool,
    may_replace: bool,
    as_json: bool,
) -> int:
    """Synchronize backgrounds with a folder of pictures, or a bucket on the same object store.

    Names and tags come from the paths; a backgrounds.toml next to the pictures overrides them
    (docs/backgrounds.md). Only changed files are processed.
    """
    with open_backends() as there:
        done = syncing.sync_pictures(
            there,
            providers.find_provider(address, find_storage()),
            tenant=tenant,
            delete=delete,
            may_replace=may_replace,
        )
    return _end(done, as_json=as_json)


@backgrounds.command(
    "list",
    epilog=examples(
        "smart-filter backgrounds list",
        "smart-filter backgrounds list --tenant acme --json | jq -r '.items[].name'",
    ),
)
@click.option(
    "--tenant", callback=_parse_tenant, metavar="NAME", help="List only what this tenant can use."
)
@json_option
def list_(*, tenant: Tenant | None, as_json: bool) -> None:
    """List generated designs and added pictures.

    With --json also titles, tags, moods, colors and the source: generated, site (all tenants) or
    tenant.
    """
    pictures = None
    try:
        with open_pictures(tenant) as there:
            pictures = there.list_pictures()
    except CommandError as ending:
        # Designs need no server.
        print_error(f"added pictures are not listed: {ending.message}")
    if as_json:
        documents = [picture.document for picture in pictures or ()]
        print_json({"items": [*documents, *map(document_of, PRESETS)]})
    else:
        print_backgrounds(pictures)


@backgrounds.command(
    epilog=examples(
        "smart-filter backgrounds remove lobby",
        "smart-filter backgrounds remove beach --tenant acme",
    )
)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@_tenant_option
@json_option
def remove(names: tuple[str, ...], *, tenant: Tenant | None, as_json: bool) -> int:
    """Remove pictures by their names, such as beach or site/beach.

    Unfinished jobs that name a removed background fail with a clear error.
    """
    with open_pictures(tenant) as pictures:
        wanted = [name.removeprefix(pictures.prefix) for name in names]
        removed = pictures.remove(wanted)
    done = SyncReport(
        removed=list(removed.values()),
        refused={name: "no picture has this name" for name in wanted if name not in removed},
    )
    return _end(done, as_json=as_json)


def print_backgrounds(pictures: Sequence[ListedPicture] | None) -> None:
    """Print the names of the designs by family, and a table of the added pictures.

    pictures: None if they could not be read.
    """
    click.echo(f"{len(PRESETS)} designs, by family; use as background=preset:NAME")
    families: dict[str, list[str]] = {}
    for preset in PRESETS:
        families.setdefault(preset.family, []).append(preset.name)
    rows = [(family, ", ".join(names)) for family, names in sorted(families.items())]
    print_table(EscapingConsole(highlight=False), facts_table(rows))
    if pictures is None:
        return
    click.echo()
    if not pictures:
        click.echo("no pictures added; add some with `smart-filter backgrounds add FILE`")
        return
    click.echo("added pictures; use as background=preset:NAME, logos as logo=NAME")
    columns = ("  name", "owner", "use", "size", "moods", "tags")
    print_columns(columns, map(_table_row, pictures), wrapped=("tags",))
    for picture in pictures:
        if picture.refusal is not None:
            print_line(f"{picture.name} was refused: {picture.refusal}")


def _parse_words(
    files: Sequence[Path],
    *,
    name: str | None,
    title: str | None,
    tags: str | None,
    moods: str | None,
) -> GivenDescription:
    """Return the description that the options give; ends the command when one is invalid."""
    if len(files) > 1 and (name is not None or title is not None):
        raise CommandError("--name and --title apply to one picture: give one file")
    listed = None if moods is None else descriptions.split_tags(moods)
    return GivenDescription(
        name=None if name is None else descriptions.check_name(name),
        title=title,
        tags=None if tags is None else descriptions.split_tags(tags),
        moods=None if listed is None else tuple(descriptions.parse_mood(word) for word in listed),
    )


def _end(done: SyncReport, *, as_json: bool) -> int:
    """Print the changes and the refused pictures; return the exit status, 1 if there is one."""
    if as_json:
        document = {
            **{str(outcome): names for outcome, names in done.done.items()},
            "removed": done.removed,
            "refused": [{"path": path, "why": why} for path, why in done.refused.items()],
        }
        print_json(document)
    else:
        changes = [
            (Outcome.ADDED, done.done[Outcome.ADDED]),
            (Outcome.CHANGED, done.done[Outcome.CHANGED]),
            ("removed", done.removed),
        ]
        for what, names in changes:
            for name in names:
                print_line(f"{what} {name}")
        if unchanged := len(done.done[Outcome.UNCHANGED]):
            click.echo(f"unchanged: {unchanged}")
    for path, why in done.refused.items():
        print_error(f"{path}: {why}")
    return PHOTO_FAILED if done.refused else ALL_SUCCEEDED


def _warn_when_small(picture: AddedPicture) -> None:
    if min(picture.width, picture.height) < _MIN_SIDE_PX:
        size = f"{picture.width}×{picture.height}"
        print_error(f"{picture.name} is small ({size}): it is enlarged behind larger photos")


def _table_row(picture: ListedPicture) -> tuple[Text | str, ...]:
    return (
        Text(f"  {picture.name}", "bold"),
        picture.owner,
        "logo" if picture.is_logo else "background",
        picture.size,
        ", ".join(picture.moods),
        ", ".join(picture.tags),
    )
