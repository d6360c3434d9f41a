"""Output of `smart-filter backgrounds list`: generated designs and added pictures."""

from collections.abc import Sequence

import click
from rich.table import Table
from rich.text import Text

from smart_filter_deploy.cli.terminal.console import EscapingConsole
from smart_filter_deploy.cli.terminal.report import print_table
from smart_filter_shared.presets import PRESETS, Preset
from smart_filter_shared.stock import StoredPicture


def print_backgrounds(pictures: Sequence[StoredPicture] | None) -> None:
    """Print the names of the designs by family, and a table of the added pictures.

    pictures: None if they could not be read.
    """
    console = EscapingConsole(highlight=False)
    click.echo(f"{len(PRESETS)} designs, by family; use as background=preset:NAME")
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for family, names in _by_family(PRESETS).items():
        table.add_row(f"  {family}", Text(", ".join(names)))
    print_table(console, table)
    if pictures is None:
        return
    click.echo()
    if not pictures:
        click.echo("no pictures added; add some with `smart-filter backgrounds add FILE`")
        return
    click.echo("added pictures; use as background=preset:NAME")
    print_table(console, _pictures(pictures))


def to_documents(pictures: Sequence[StoredPicture]) -> list[dict[str, object]]:
    """Return the --json document of each background: pictures first, then designs."""
    return [*map(_picture, pictures), *map(_design, PRESETS)]


def _by_family(presets: Sequence[Preset]) -> dict[str, list[str]]:
    families: dict[str, list[str]] = {}
    for preset in presets:
        families.setdefault(preset.family, []).append(preset.name)
    return dict(sorted(families.items()))


def _pictures(pictures: Sequence[StoredPicture]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("  name", "owner", "size", "moods"):
        table.add_column(column, no_wrap=True)
    table.add_column("tags")
    for picture in (one.picture for one in pictures):
        table.add_row(
            Text(f"  {picture.preset.name}", "bold"),
            Text(picture.tenant or "all tenants"),
            f"{picture.width}×{picture.height}",
            Text(", ".join(picture.moods)),
            Text(", ".join(picture.tags)),
        )
    return table


def _design(preset: Preset) -> dict[str, object]:
    return {
        "name": preset.name,
        "source": str(preset.source),
        "family": preset.family,
        "title": preset.title,
        "tags": list(preset.tags),
        "moods": list(preset.moods),
        "palette": list(preset.palette),
        "brightness": preset.brightness,
    }


def _picture(listed: StoredPicture) -> dict[str, object]:
    picture = listed.picture
    return {
        **_design(picture.preset),
        "tenant": picture.tenant,
        "width": picture.width,
        "height": picture.height,
        "sha256": picture.digest,
        "origin": picture.origin or None,
        "created_at": listed.created_at.isoformat(),
    }
