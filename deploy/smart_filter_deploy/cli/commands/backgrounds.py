"""`smart-filter backgrounds`: lists and changes backgrounds."""

import json
from pathlib import Path

import click

from smart_filter_deploy.cli.terminal.examples import examples
from smart_filter_deploy.cli.terminal.exit_codes import (
    ALL_SUCCEEDED,
    PHOTO_FAILED,
    CommandError,
    print_error,
    require_extra,
)

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_replace_option = click.option(
    "--replace", "may_replace", is_flag=True, help="Replace an existing picture of the same name."
)
_MAX_TENANT_CHARACTERS = 100


def _parse_tenant(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    """Parse a tenant's name; None is the operator, whose pictures all tenants can use."""
    if text is not None and not (
        text and text.isprintable() and len(text) <= _MAX_TENANT_CHARACTERS and "/" not in text
    ):
        raise click.BadParameter(f"{text[:_MAX_TENANT_CHARACTERS]!r} is not a tenant's name")
    return text


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
    `smart-filter up`.
    """


@backgrounds.command(
    short_help="Add pictures as backgrounds.",
    epilog=examples(
        "smart-filter backgrounds add lobby.jpg",
        "smart-filter backgrounds add beach/*.jpg --tenant acme --tags beach,sea --moods calm",
    ),
)
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
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
@_replace_option
@_json_option
@click.pass_context
def add(
    ctx: click.Context,
    files: tuple[Path, ...],
    *,
    tenant: str | None,
    name: str | None,
    title: str | None,
    tags: str | None,
    moods: str | None,
    may_replace: bool,
    as_json: bool,
) -> None:
    """Add pictures as backgrounds; adding the same picture again updates its metadata.

    Accepts JPEG, PNG, WebP or AVIF within the limits for photos. Transparent areas become white.
    """
    with require_extra("worker"):
        # The server's packages are not part of a bare install, here and below.
        from smart_filter_deploy.cli.commands import background_pictures  # noqa: PLC0415

    given = background_pictures.parse_words(files, name=name, title=title, tags=tags, moods=moods)
    done = background_pictures.add(files, given, tenant=tenant, may_replace=may_replace)
    background_pictures.print_changes(done, as_json=as_json)
    ctx.exit(PHOTO_FAILED if done.refused else ALL_SUCCEEDED)


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
@_json_option
@click.pass_context
def sync(
    ctx: click.Context,
    address: str,
    *,
    tenant: str | None,
    delete: bool,
    may_replace: bool,
    as_json: bool,
) -> None:
    """Synchronize backgrounds with a folder of pictures, or a bucket on the same object store.

    Names and tags come from the paths; a backgrounds.toml next to the pictures overrides them
    (docs/backgrounds.md). Only changed files are processed.
    """
    with require_extra("worker"):
        from smart_filter_deploy.cli.commands import background_pictures  # noqa: PLC0415

    done = background_pictures.sync(address, tenant=tenant, delete=delete, may_replace=may_replace)
    background_pictures.print_changes(done, as_json=as_json)
    ctx.exit(PHOTO_FAILED if done.refused else ALL_SUCCEEDED)


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
@_json_option
def list_(*, tenant: str | None, as_json: bool) -> None:
    """List generated designs and added pictures.

    With --json also titles, tags, moods, colors and the source: generated, site (all tenants) or
    tenant.
    """
    with require_extra("worker"):
        from smart_filter_deploy.cli.commands import background_list, background_pictures  # noqa: PLC0415

    pictures = None
    try:
        pictures = background_pictures.list_pictures(tenant)
    except CommandError as ending:
        # Designs need no server.
        print_error(f"added pictures are not listed: {ending.message}")
    if as_json:
        click.echo(json.dumps({"items": background_list.to_documents(pictures or ())}))
    else:
        background_list.print_backgrounds(pictures)


@backgrounds.command(
    epilog=examples(
        "smart-filter backgrounds remove lobby",
        "smart-filter backgrounds remove beach --tenant acme",
    )
)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@_tenant_option
@_json_option
@click.pass_context
def remove(
    ctx: click.Context, names: tuple[str, ...], *, tenant: str | None, as_json: bool
) -> None:
    """Remove pictures by their names, such as beach or site/beach.

    Unfinished jobs that name a removed background fail with a clear error.
    """
    with require_extra("worker"):
        from smart_filter_deploy.cli.commands import background_pictures  # noqa: PLC0415

    done = background_pictures.remove(names, tenant=tenant)
    background_pictures.print_changes(done, as_json=as_json)
    ctx.exit(PHOTO_FAILED if done.refused else ALL_SUCCEEDED)
