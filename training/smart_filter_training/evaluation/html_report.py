"""Render an evaluation as one self-contained HTML file: figures, then the worst photos."""

import base64
import math
from collections.abc import Iterable, Mapping
from html import escape
from importlib.resources import files
from typing import Final

from smart_filter_training.evaluation import drawing
from smart_filter_training.evaluation.base import Cell, Confusion, Metric
from smart_filter_training.evaluation.confidence_intervals import Figure
from smart_filter_training.evaluation.measure import Evaluation, ModelResult, ReportedPhoto
from smart_filter_workers import images

# Limit of photos with pictures for each model; the figures cover all photos.
MAX_PHOTOS: Final = 60
_PICTURE_PX: Final = 300
_SMALL_PX: Final = 96
_QUALITY: Final = 72
_COLUMNS: Final = ("input", "truth", "answer", "difference")


def render_page(evaluation: Evaluation) -> str:
    """Return the HTML of the report."""
    title = f"{evaluation.task}: {evaluation.data.name}, {evaluation.count} photos"
    style = files("smart_filter_training.evaluation").joinpath("page.css").read_text("utf-8")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
<header>
<p class="kicker">Smart Filter · evaluation</p>
<h1>{escape(str(evaluation.task).capitalize())}</h1>
<p class="lead">{evaluation.count} photos of <code>{escape(evaluation.data.name)}</code>.
{escape(evaluation.how)}</p>
</header>
<main>
<section>
<h2>Models</h2>
{_figures(evaluation)}
<p class="note">Small figures: 95 % intervals, by bootstrap over photos. CPU: processor time per
photo on one thread; memory: the peak of a process that runs only this model.</p>
</section>
{"".join(_model(evaluation, measured) for measured in evaluation.models)}
</main>
</body>
</html>
"""


def _figures(evaluation: Evaluation) -> str:
    head = "".join(f"<th>{escape(metric.title)}</th>" for metric in evaluation.metrics)
    rows = []
    for index, measured in enumerate(evaluation.models):
        name = f"<b>{escape(measured.card.name)}</b> <i>{escape(measured.card.version)}</i>"
        rows.append(
            f"<tr><th>{name}</th>{_cells(evaluation.metrics, measured.figures)}"
            f"<td>{measured.cpu_ms:.1f} ms</td><td>{measured.peak_mb:.0f} MB</td></tr>"
        )
        rows += [
            f'<tr class="part"><th>{escape(group.name)} <i>{group.count}</i></th>'
            f"{_cells(evaluation.metrics, group.figures)}<td></td><td></td></tr>"
            for group in measured.groups
        ]
        if measured.against:
            default = escape(evaluation.models[0].card.name)
            rows.append(
                f'<tr class="part"><th>minus {default}, photo by photo</th>'
                f"{_cells(evaluation.metrics, measured.against, sign='+')}<td></td><td></td></tr>"
            )
        if index + 1 < len(evaluation.models):
            rows.append('<tr class="rule"></tr>')
    return (
        f'<div class="wide"><table class="figures"><thead><tr><th>model</th>{head}<th>CPU</th>'
        f"<th>memory</th></tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _cells(metrics: Iterable[Metric], figures: Mapping[str, Figure], *, sign: str = "") -> str:
    return "".join(
        f"<td>{_number(figures[metric.name], sign)}</td>" if metric.name in figures else "<td></td>"
        for metric in metrics
    )


def _number(figure: Figure, sign: str) -> str:
    if math.isnan(figure.value):
        return "–"
    between = f"{figure.low:{sign}.3f} to {figure.high:{sign}.3f}"
    return f"{figure.value:{sign}.3f}<small>{between}</small>"


def _model(evaluation: Evaluation, measured: ModelResult) -> str:
    shown = [photo for photo in measured.worst if photo.score.badness > 0]
    heads = "".join(f"<span>{name}</span>" for name in _COLUMNS)
    cards = "".join(_photo(rank, photo) for rank, photo in enumerate(shown, start=1))
    summary = (
        f"The worst {len(shown)} of {evaluation.count}, the worst first."
        if shown
        else "No photo has errors."
    )
    return f"""
<section>
<h2>{escape(measured.card.name)}</h2>
<p>{escape(measured.card.title)}{_settings(measured)}. {summary}</p>
{_legend(shown)}{_confusion(measured.confusion)}
<div class="heads" aria-hidden="true">{heads}</div>
<div class="photos">{cards}</div>
</section>
"""


def _settings(measured: ModelResult) -> str:
    return "".join(
        f", {escape(name)} {escape(str(value))}" for name, value in measured.parameters.items()
    )


def _legend(shown: Iterable[ReportedPhoto]) -> str:
    if not any(not isinstance(photo.cells[3], str) for photo in shown):
        return ""
    parts = (
        ("false positive", drawing.FALSE_POSITIVE),
        ("false negative", drawing.FALSE_NEGATIVE),
    )
    marks = "".join(
        f'<span><i style="background:rgb{color}"></i>{name}</span>' for name, color in parts
    )
    return f'<p class="legend">{marks}</p>'


def _confusion(confusion: Confusion | None) -> str:
    if confusion is None:
        return ""
    head = "".join(f"<th>{escape(answer)}</th>" for answer in confusion.answers)
    rows = []
    for truth, counts in zip(confusion.truths, confusion.counts, strict=True):
        total = max(1, sum(counts))
        cells = "".join(f'<td style="--share:{count / total:.3f}">{count}</td>' for count in counts)
        rows.append(f"<tr><th>{escape(truth)}</th>{cells}</tr>")
    return (
        f'<table class="confusion"><thead><tr><th>truth ↓ answer →</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _photo(rank: int, shown: ReportedPhoto) -> str:
    # If the answer is a text, a large picture would only take room.
    words = isinstance(shown.cells[2], str)
    px = _SMALL_PX if words else _PICTURE_PX
    pairs = zip(shown.cells, _COLUMNS, strict=True)
    cells = "".join(f"<div>{_cell(cell, name, px)}</div>" for cell, name in pairs)
    return (
        f'<figure><div class="row">{cells}</div><figcaption><b>{rank}</b> '
        f"{escape(shown.score.photo)} <span>{escape(shown.score.summary)}</span>"
        f"</figcaption></figure>"
    )


def _cell(cell: Cell, name: str, px: int) -> str:
    if isinstance(cell, str):
        return f"<strong>{escape(cell)}</strong>"
    small = drawing.fit_longest_side(cell, longest_side_px=px)
    encoded = base64.b64encode(images.encode_jpeg(small, quality=_QUALITY).content).decode()
    height, width = small.shape[:2]
    return (
        f'<img src="data:image/jpeg;base64,{encoded}" width="{width}" height="{height}"'
        f' alt="{name}" loading="lazy">'
    )
