"""Make blind pairs of photo and picture for judges, and count their answers.

python -m benchmarks.blind_sheets make PHOTOS OUT --variant today=DIR --variant before=DIR
python -m benchmarks.blind_sheets count OUT/key.json ANSWERS.csv…

DIR is what `smart-filter batch PHOTOS -o DIR` writes with one recipe, model or checkout. OUT/sheets
holds the photo and one variant's picture side by side, in random order, and `answers.csv` to fill
in; a judge gets this folder only, with the questions that `make` prints. OUT/key.json says which
sheet shows what. The strictest judge of a sheet counts.
"""

import csv
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import click
import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from smart_filter_training.evaluation import dataset_files
from smart_filter_training.evaluation.measure import sample_evenly
from smart_filter_workers.results import Srgb8

COLUMNS: Final = ("sheet", "verdict", "difficulty", "background", "class", "fault")
# Classes of earlier judgments; judges may write others.
CLASSES: Final = (
    "leftover, lost part, halo, wrong person, does not fit, blur wrong, no change, color, other"
)
QUESTIONS: Final = f"""\
Look at the right picture only, at its size: would a person post it without touching it up?
verdict     POST nothing disturbs; MAYBE a small fault that many would overlook; NO a visible fault
difficulty  EASY one or two people, clear, filling the frame; HARD all others
background  CHANGED or UNCHANGED
class       of the worst fault, unless POST: {CLASSES}
fault       in at most twelve words, unless POST"""
WIDTH_PX: Final = 640
MAX_HEIGHT_PX: Final = 720
GAP_PX: Final = 8
# The normal quantile of a two-sided interval of 95 %.
Z_95: Final = 1.959964


class Verdict(StrEnum):
    """Whether a person would post a picture, the strictest last."""

    POST = "POST"
    MAYBE = "MAYBE"
    NO = "NO"


STRICTNESS: Final = tuple(Verdict)


@dataclass(frozen=True, slots=True)
class Entry:
    """What one sheet shows."""

    sheet: str
    photo: str
    variant: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A judge's answer to one sheet; fault: its class, empty without one."""

    sheet: str
    verdict: Verdict
    is_easy: bool
    is_changed: bool
    fault: str


@click.group()
def main() -> None:
    """Make blind pairs of photo and picture, and count judges' answers."""


@main.command()
@click.argument("photos", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--variant", "variants", multiple=True, required=True, metavar="NAME=DIR")
@click.option("--count", default=60, help="Photos, spread over the folder.")
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
        picture = _read_picture(folders[entry.variant], entry.photo)
        pair = draw_pair(photo, picture)
        cv2.imwrite(str(sheets / f"{entry.sheet}.png"), pair[..., ::-1])
    (out / "key.json").write_text(json.dumps([asdict(entry) for entry in entries], indent=1))
    with (sheets / "answers.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([entry.sheet, "", "", "", "", ""] for entry in entries)
    click.echo(f"{len(entries)} sheets in {sheets}.\n{QUESTIONS}")


@main.command()
@click.argument("key", type=click.Path(exists=True, path_type=Path))
@click.argument("answers", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def count(key: Path, answers: Sequence[Path]) -> None:
    """Print the verdicts on each variant, by judge and by the strictest judge of each sheet."""
    entries = [Entry(**entry) for entry in json.loads(key.read_text())]
    judges = {path.stem: read_answers(path.read_text()) for path in answers}
    if len(judges) > 1:
        judges["strictest"] = take_strictest(list(judges.values()))
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("judge", "variant", "pictures", "POST", "MAYBE", "NO", "POST, 95 %", "classes"):
        table.add_column(column)
    for judge, given in judges.items():
        for row in count_answers(entries, given):
            table.add_row(judge, *row)
    Console(highlight=False, width=140).print(table)


def shuffle_entries(photos: Sequence[str], variants: Sequence[str], *, seed: int) -> list[Entry]:
    """Return an entry for each photo and variant, in random order; the sheets are numbered."""
    pairs = [(photo, variant) for photo in photos for variant in variants]
    order = np.random.default_rng(seed).permutation(len(pairs))
    return [Entry(f"{number:03}", *pairs[index]) for number, index in enumerate(order, start=1)]


def read_answers(text: str) -> list[Answer]:
    """Return the answers of a CSV file.  Raises ClickException at one that is not as asked for.

    Sheets without an answer are left out.
    """
    answers = []
    for row in csv.DictReader(text.splitlines()):
        verdict, difficulty, background = (
            (row[column] or "").strip().upper() for column in COLUMNS[1:4]
        )
        if not verdict:
            continue
        if (
            verdict not in STRICTNESS
            or difficulty not in {"EASY", "HARD"}
            or background not in {"CHANGED", "UNCHANGED"}
        ):
            raise click.ClickException(
                f"sheet {row['sheet']}: {verdict!r}, {difficulty!r}, {background!r} are not POST,"
                " MAYBE or NO, EASY or HARD, CHANGED or UNCHANGED"
            )
        answers.append(
            Answer(
                row["sheet"],
                Verdict(verdict),
                is_easy=difficulty == "EASY",
                is_changed=background == "CHANGED",
                fault=(row["class"] or "").strip().lower() if verdict != Verdict.POST else "",
            )
        )
    return answers


def take_strictest(judges: Sequence[Sequence[Answer]]) -> list[Answer]:
    """Return the strictest answer to each sheet; of two alike, the first judge's."""
    strictest: dict[str, Answer] = {}
    for answer in (answer for answers in judges for answer in answers):
        other = strictest.setdefault(answer.sheet, answer)
        if STRICTNESS.index(answer.verdict) > STRICTNESS.index(other.verdict):
            strictest[answer.sheet] = answer
    return list(strictest.values())


def count_answers(entries: Sequence[Entry], answers: Sequence[Answer]) -> Iterator[Sequence[str]]:
    """Yield variant, pictures, numbers of verdicts, the interval of POST, and classes of faults."""
    of_sheet = {answer.sheet: answer for answer in answers}
    rows: dict[str, list[Answer]] = {}
    for entry in entries:
        if entry.sheet in of_sheet:
            rows.setdefault(entry.variant, []).append(of_sheet[entry.sheet])
    for variant, row in sorted(rows.items()):
        for pictures, some in (
            ("all", row),
            ("easy", [answer for answer in row if answer.is_easy]),
            ("hard", [answer for answer in row if not answer.is_easy]),
            ("changed", [answer for answer in row if answer.is_changed]),
        ):
            if not some:
                continue
            verdicts = Counter(answer.verdict for answer in some)
            low, high = wilson_interval(verdicts[Verdict.POST], len(some))
            faults = Counter(answer.fault for answer in some if answer.fault)
            yield (
                variant,
                f"{pictures} ({len(some)})",
                *(str(verdicts[verdict]) for verdict in STRICTNESS),
                f"{low:.0%} to {high:.0%}",
                ", ".join(f"{fault} {times}" for fault, times in faults.most_common()),
            )


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a share.  Source: Wilson 1927, score interval."""
    share, squared = successes / trials, Z_95**2 / trials
    middle = (share + squared / 2) / (1 + squared)
    half = math.sqrt(squared * (share * (1 - share) + squared / 4)) / (1 + squared)
    return middle - half, middle + half


def draw_pair(photo: Srgb8, picture: Srgb8) -> Srgb8:
    """Return a photo and a picture side by side, each 640 pixels wide or 720 high."""
    panels = [_fit(panel) for panel in (photo, picture)]
    height = max(panel.shape[0] for panel in panels)
    pair = np.full((height, sum(panel.shape[1] for panel in panels) + GAP_PX, 3), 255, np.uint8)
    left, right = panels
    pair[: left.shape[0], : left.shape[1]] = left
    pair[: right.shape[0], left.shape[1] + GAP_PX :] = right
    return pair


def _read_picture(folder: Path, stem: str) -> Srgb8:
    """Return the picture of a photo, (H, W, 3)."""
    for path in sorted(folder.glob(f"{stem}.*")):
        if path.suffix in dataset_files.PICTURE_SUFFIXES:
            return dataset_files.read_photo(path).srgb
    raise click.ClickException(f"{folder} has no picture of {stem}")


def _fit(picture: Srgb8) -> Srgb8:
    height, width = picture.shape[:2]
    scale = min(WIDTH_PX / width, MAX_HEIGHT_PX / height)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)


if __name__ == "__main__":
    main()
