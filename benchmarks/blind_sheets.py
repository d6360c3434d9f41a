"""Make blind sheets of cutouts for judges, and count their answers.

python -m benchmarks.blind_sheets make PHOTOS OUT --variant today=DIR --variant before=DIR
python -m benchmarks.blind_sheets count OUT/key.json ANSWERS.csv…

DIR is what `smart-filter run PHOTOS -o DIR --outputs image,cutout` writes with one recipe, model or
checkout. OUT/sheets holds a picture for each photo and variant in random order, and `answers.csv`
to fill in; a judge gets this folder only. OUT/key.json says which sheet shows what.
"""

import csv
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import click
import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from smart_filter_training.evaluation import dataset_files
from smart_filter_training.evaluation.measure import sample_evenly
from smart_filter_workers.results import HALF_LEVEL

QUESTION: Final = "Would you post this, yes or no, and what spoils it?"
# What spoiled cutouts of earlier judgments; judges may write others.
FAULTS: Final = "leftover, person, thing, limb, hair, halo, shadow"
COLUMNS: Final = ("sheet", "post", "spoiled_by")
MAGENTA, PAPER = (255, 0, 255), (244, 240, 232)
# A panel shows the whole photo, a crop some of its pixels as they are.
PANEL_PX: Final = 520
CROP_PX: Final = 260
CROPS: Final = 6
GAP_PX: Final = 8
CAPTION_PX: Final = 30
# The normal quantile of a two-sided interval of 95 %.
Z_95: Final = 1.959964

Srgb8 = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Entry:
    """What one sheet shows."""

    sheet: str
    photo: str
    variant: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A judge's answer to one sheet."""

    sheet: str
    post: bool
    spoiled_by: tuple[str, ...]


@click.group()
def main() -> None:
    """Make blind sheets of cutouts, and count judges' answers."""


@main.command()
@click.argument("photos", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--variant", "variants", multiple=True, required=True, metavar="NAME=DIR")
@click.option("--count", default=48, help="Photos, spread over the folder.")
@click.option("--seed", default=0, help="Decides the order of the sheets.")
def make(photos: Path, out: Path, variants: Sequence[str], count: int, seed: int) -> None:
    """Write the sheets of PHOTOS and their key to OUT."""
    folders = {name: Path(folder) for name, _, folder in (text.partition("=") for text in variants)}
    chosen = {path.stem: path for path in sample_evenly(dataset_files.list_pictures(photos), count)}
    entries = shuffle_entries(list(chosen), list(folders), seed=seed)
    sheets = out / "sheets"
    sheets.mkdir(parents=True, exist_ok=True)
    for entry in entries:
        photo = dataset_files.read_photo(chosen[entry.photo]).srgb
        sheet = _draw_sheet(entry.sheet, photo, folders[entry.variant], entry.photo)
        cv2.imwrite(str(sheets / f"{entry.sheet}.png"), sheet[..., ::-1])
    (out / "key.json").write_text(json.dumps([asdict(entry) for entry in entries], indent=1))
    with (sheets / "answers.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([entry.sheet, "", ""] for entry in entries)
    click.echo(f"{len(entries)} sheets in {sheets}. {QUESTION} Faults: {FAULTS}")


@main.command()
@click.argument("key", type=click.Path(exists=True, path_type=Path))
@click.argument("answers", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def count(key: Path, answers: Sequence[Path]) -> None:
    """Print how many sheets of each variant judges would post, by file of ANSWERS."""
    entries = [Entry(**entry) for entry in json.loads(key.read_text())]
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("judge", "variant", "would post (95 %)", "alone", "spoiled by"):
        table.add_column(column)
    for path in answers:
        for row in count_answers(entries, read_answers(path.read_text())):
            table.add_row(path.stem, *row)
    Console(highlight=False, width=110).print(table)


def shuffle_entries(photos: Sequence[str], variants: Sequence[str], *, seed: int) -> list[Entry]:
    """Return an entry for each photo and variant, in random order; the sheets are numbered."""
    pairs = [(photo, variant) for photo in photos for variant in variants]
    order = np.random.default_rng(seed).permutation(len(pairs))
    return [Entry(f"{number:03}", *pairs[index]) for number, index in enumerate(order, start=1)]


def read_answers(text: str) -> list[Answer]:
    """Return the answers of a CSV file.  Raises ClickException at one that is neither yes nor no.

    Sheets without an answer are left out.
    """
    answers = []
    for row in csv.DictReader(text.splitlines()):
        post = row["post"].strip().lower()
        if post not in {"", "yes", "no"}:
            raise click.ClickException(f"sheet {row['sheet']}: {post!r} is neither yes nor no")
        faults = (fault.strip().lower() for fault in (row["spoiled_by"] or "").split(","))
        if post:
            answers.append(Answer(row["sheet"], post == "yes", tuple(filter(None, faults))))
    return answers


def count_answers(entries: Sequence[Entry], answers: Sequence[Answer]) -> Iterator[Sequence[str]]:
    """Yield variant, would post, posted of this variant alone, and faults, the best variant first.

    A photo with one variant alone to post tells the variants apart.
    """
    of_sheet = {answer.sheet: answer for answer in answers}
    answered = [(entry, of_sheet[entry.sheet]) for entry in entries if entry.sheet in of_sheet]
    posted = Counter(entry.photo for entry, answer in answered if answer.post)
    rows: dict[str, list[tuple[Entry, Answer]]] = {}
    for entry, answer in answered:
        rows.setdefault(entry.variant, []).append((entry, answer))
    shares = {name: np.mean([answer.post for _, answer in row]) for name, row in rows.items()}
    for name in sorted(rows, key=lambda name: -shares[name]):
        row = rows[name]
        yes = sum(answer.post for _, answer in row)
        low, high = wilson_interval(yes, len(row))
        alone = sum(answer.post and posted[entry.photo] == 1 for entry, answer in row)
        faults = Counter(fault for _, answer in row for fault in answer.spoiled_by)
        yield (
            name,
            f"{yes} of {len(row)} = {shares[name]:.0%} ({low:.0%} to {high:.0%})",
            str(alone),
            ", ".join(f"{fault} {times}" for fault, times in faults.most_common()),
        )


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a share.  Source: Wilson 1927, score interval."""
    share, squared = successes / trials, Z_95**2 / trials
    middle = (share + squared / 2) / (1 + squared)
    half = math.sqrt(squared * (share * (1 - share) + squared / 4)) / (1 + squared)
    return middle - half, middle + half


def place_crops(alpha: NDArray[np.uint8], count: int) -> list[tuple[int, int]]:
    """Return middles x, y of crops, spread evenly along the outlines of an (H, W) alpha."""
    solid = (alpha > HALF_LEVEL).astype(np.uint8)
    lines, _ = cv2.findContours(solid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not lines:
        return []
    points = np.concatenate([line[:, 0] for line in sorted(lines, key=len, reverse=True)])
    height, width = alpha.shape
    # A line along the border of the photo is no outline.
    inside = points[((points > 0) & (points < (width - 1, height - 1))).all(axis=1)]
    chosen = inside[[index * len(inside) // count for index in range(min(count, len(inside)))]]
    return [(int(x), int(y)) for x, y in chosen]


def _draw_sheet(name: str, photo: Srgb8, folder: Path, stem: str) -> Srgb8:
    rgba = _read_picture(folder / f"{stem}.smart-filter.cutout.png")
    alpha = np.asarray(rgba[..., 3])
    grounds = [_lay(rgba, MAGENTA), _lay(rgba, PAPER)]
    finished = [
        _read_picture(path)[..., :3]
        for path in sorted(folder.glob(f"{stem}.smart-filter.*"))
        if path.stem == f"{stem}.smart-filter" and path.suffix in dataset_files.PICTURE_SUFFIXES
    ]
    panels = [_fit(picture, PANEL_PX) for picture in (photo, *grounds, *finished)]
    places = place_crops(alpha, CROPS)
    crops = [_crop(grounds[number % 2], place) for number, place in enumerate(places)]
    rows = [_join_row(row) for row in (panels, crops) if row]
    width = max(row.shape[1] for row in rows)
    caption = np.full((CAPTION_PX, width, 3), 255, np.uint8)
    text = f"{name}   {QUESTION}"
    cv2.putText(caption, text, (4, 21), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([_pad(row, row.shape[0], width) for row in (caption, *rows)])


def _read_picture(path: Path) -> Srgb8:
    """Read a picture as (H, W, 4) sRGB."""
    bgra = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if bgra is None:
        raise click.ClickException(f"{path} is no picture")
    code = cv2.COLOR_BGRA2RGBA if bgra.shape[2] == 4 else cv2.COLOR_BGR2RGBA  # noqa: PLR2004
    return np.asarray(cv2.cvtColor(bgra, code), np.uint8)


def _lay(rgba: Srgb8, ground: tuple[int, int, int]) -> Srgb8:
    share = rgba[..., 3:].astype(np.float32) / 255
    return np.rint(rgba[..., :3] * share + np.array(ground) * (1 - share)).astype(np.uint8)


def _fit(picture: Srgb8, side: int) -> Srgb8:
    scale = side / max(picture.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=how), np.uint8)


def _crop(picture: Srgb8, place: tuple[int, int]) -> Srgb8:
    """Return the pixels around a place, as far as the picture goes."""
    rows, columns = (
        slice(start, start + CROP_PX)
        for start in (
            max(0, min(middle - CROP_PX // 2, side - CROP_PX))
            for middle, side in zip(reversed(place), picture.shape[:2], strict=True)
        )
    )
    return picture[rows, columns]


def _join_row(pictures: Sequence[Srgb8]) -> Srgb8:
    height = max(picture.shape[0] for picture in pictures) + GAP_PX
    return np.hstack([_pad(picture, height, picture.shape[1] + GAP_PX) for picture in pictures])


def _pad(picture: Srgb8, height: int, width: int) -> Srgb8:
    padded = np.full((height, width, 3), 255, np.uint8)
    padded[: picture.shape[0], : picture.shape[1]] = picture
    return padded


if __name__ == "__main__":
    main()
