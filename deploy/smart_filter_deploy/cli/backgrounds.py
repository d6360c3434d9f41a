"""`smart-filter backgrounds`: pictures of one's own to stand behind people."""

import json
from pathlib import Path

import click

from smart_filter_deploy.cli.endings import ALL_SUCCEEDED, PHOTO_FAILED, Ending, needing, say
from smart_filter_deploy.cli.examples import examples

_json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")
_replace_option = click.option(
    "--replace", "may_replace", is_flag=True, help="Let another picture of the same name go."
)
_LONGEST_TENANT = 100


def _tenant(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    """Read a tenant's name; without one it is the operator, whose pictures everybody may use."""
    if text is not None and not (
        text and text.isprintable() and len(text) <= _LONGEST_TENANT and "/" not in text
    ):
        raise click.BadParameter(f"{text[:_LONGEST_TENANT]!r} is not a tenant's name")
    return text


_tenant_option = click.option(
    "--tenant",
    callback=_tenant,
    metavar="NAME",
    help="Whose they are: `preset:tenant/…`; without it everybody's: `preset:site/…`.",
)


@click.group(
    epilog=examples(
        "smart-filter backgrounds list",
        "smart-filter backgrounds add lobby.jpg --tags office,glass",
        "smart-filter run me.jpg --background preset:site/lobby",
    )
)
def backgrounds() -> None:
    """List backgrounds; keep pictures of your own, for everybody or for one tenant.

    They go to the servers that SMART_FILTER_DATABASE_URL and SMART_FILTER_STORAGE_URL name, else
    to those that `smart-filter up` runs on the data folder.
    """


@backgrounds.command(
    short_help="Keep pictures as backgrounds.",
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
@click.option("--name", metavar="NAME", help="Of one file; else made of the file's.")
@click.option("--title", metavar="TEXT", help="Of one file; else the file's name.")
@click.option("--tags", metavar="A,B", help="What they show; else the words of the file's name.")
@click.option("--moods", metavar="A,B", help="What they go with; else by light and colours.")
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
    """Keep pictures as backgrounds; the same picture once more changes only what is told of it.

    JPEG, PNG, WebP or AVIF, with a photo's limits. What is transparent is laid over white.
    """
    with needing("worker"):
        # The server's packages are not part of a bare install, here and below.
        from smart_filter_deploy.cli import kept_pictures  # noqa: PLC0415

    told = kept_pictures.read_words(files, name=name, title=title, tags=tags, moods=moods)
    done = kept_pictures.add(files, told, tenant=tenant, may_replace=may_replace)
    kept_pictures.tell(done, as_json=as_json)
    ctx.exit(PHOTO_FAILED if done.refused else ALL_SUCCEEDED)


@backgrounds.command(
    short_help="Keep backgrounds in step with a folder or a bucket.",
    epilog=examples(
        "smart-filter backgrounds sync our-pictures/ --delete",
        "smart-filter backgrounds sync s3://pictures/office --tenant acme",
    ),
)
@click.argument("address", metavar="DIR|s3://BUCKET/PREFIX")
@_tenant_option
@click.option("--delete", is_flag=True, help="Remove what came from there and is there no more.")
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
    """Keep backgrounds in step with a folder of pictures, or a bucket on the same object store.

    Names and tags come from the paths; a backgrounds.toml beside the pictures may tell better
    ones (docs/backgrounds.md). Only what has changed is changed.
    """
    with needing("worker"):
        from smart_filter_deploy.cli import kept_pictures  # noqa: PLC0415

    done = kept_pictures.sync(address, tenant=tenant, delete=delete, may_replace=may_replace)
    kept_pictures.tell(done, as_json=as_json)
    ctx.exit(PHOTO_FAILED if done.refused else ALL_SUCCEEDED)


@backgrounds.command(
    "list",
    epilog=examples(
        "smart-filter backgrounds list",
        "smart-filter backgrounds list --tenant acme --json | jq -r '.items[].name'",
    ),
)
@click.option("--tenant", callback=_tenant, metavar="NAME", help="Only what this one may use.")
@_json_option
def list_(*, tenant: str | None, as_json: bool) -> None:
    """List the generated designs, and the pictures that are kept.

    With --json also their titles, tags, moods and colours, and their source: generated, site
    (everybody's picture) or tenant.
    """
    with needing("worker"):
        from smart_filter_deploy.cli import background_list, kept_pictures  # noqa: PLC0415

    pictures = None
    try:
        pictures = kept_pictures.seen_by(tenant)
    except Ending as ending:
        # Designs are there without any server.
        say(f"pictures of your own are not listed: {ending.message}")
    if as_json:
        click.echo(json.dumps({"items": background_list.documents(pictures or ())}))
    else:
        background_list.show(pictures)


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

    Jobs under way that were to have one by its name fail, told plainly.
    """
    with needing("worker"):
        from smart_filter_deploy.cli import kept_pictures  # noqa: PLC0415

    done = kept_pictures.remove(names, tenant=tenant)
    kept_pictures.tell(done, as_json=as_json)
    ctx.exit(PHOTO_FAILED if done.refused else ALL_SUCCEEDED)
