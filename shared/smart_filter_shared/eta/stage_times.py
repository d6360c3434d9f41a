"""Measured stage times: how long a stage of a capability keeps a worker's thread busy.

The time is from claim to completion, with loading and storing, as one photo's share of its batch:
that decides when the next stage gets the thread. Stored are moving averages (EWMA) of the seconds,
the photo's megapixels, their squares and their product. They are enough to fit a line and the
spread around it. A capability without measurements gets a default from its model card.
"""

import operator
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, replace

from sqlalchemy import Connection, text

from smart_filter_shared.catalog.model_card import ModelCard
from smart_filter_shared.ids import Capability

# EWMA weight of one run: about the last fifty stages count, or all while there are fewer.
_SMOOTHING = 0.02
# Time of a stage before any was measured, in seconds, and its relative standard deviation.
DEFAULT_SECONDS = 0.3
_DEFAULT_SPREAD = 1.0
# Prior weight of the default spread, in pseudo-observations: a few similar runs prove little.
_PRIOR_RUNS = 4
# A line is fitted from this many runs on, and only to photos of different sizes: the variance of
# their megapixels must exceed this share of the squared mean.
_MIN_FIT_RUNS = 8
_MIN_SIZE_VARIANCE = 0.01
# Added to the time on a model card, for claiming, loading and storing, in seconds: about the time
# of a light model. Its relative standard deviation is _DEFAULT_SPREAD too: a card's time says
# little about this machine.
_OVERHEAD_SECONDS = 0.05
_MEANS = ("seconds", "squares", "megapixels", "megapixels_squares", "products")


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums, or means, over stage runs: seconds, megapixels, their squares and their product."""

    runs: int
    seconds: float
    squares: float
    megapixels: float
    megapixels_squares: float
    products: float

    @staticmethod
    def once(seconds: float, megapixels: float) -> "Moments":
        """Return the moments of one run."""
        return Moments(1, seconds, seconds**2, megapixels, megapixels**2, seconds * megapixels)

    def __add__(self, more: "Moments") -> "Moments":
        """Return the sum of both."""
        return Moments(*map(operator.add, astuple(self), astuple(more)))


@dataclass(frozen=True, slots=True)
class StageTime:
    """The fitted time of one stage of a capability.

    seconds: the intercept; seconds_per_megapixel: the slope.
    usual_megapixels: the mean of the photos that it was measured with.
    spread: the relative standard deviation of the real time.
    """

    seconds: float = DEFAULT_SECONDS
    seconds_per_megapixel: float = 0.0
    usual_megapixels: float = 0.0
    spread: float = _DEFAULT_SPREAD

    def duration(self, megapixels: float | None) -> "Duration":
        """Return the duration for a photo of this size; None or 0: for the usual size."""
        size = megapixels or self.usual_megapixels
        mean = self.seconds + self.seconds_per_megapixel * size
        return Duration(mean, (self.spread * mean) ** 2)


@dataclass(frozen=True, slots=True)
class Duration:
    """An uncertain time: its mean in seconds, and its variance in seconds squared."""

    mean: float = 0.0
    variance: float = 0.0

    def __add__(self, more: "Duration") -> "Duration":
        """Return the duration of one after the other."""
        return Duration(self.mean + more.mean, self.variance + more.variance)

    def times(self, factor: float) -> "Duration":
        """Return the duration multiplied by a factor."""
        return Duration(self.mean * factor, self.variance * factor**2)

    def left(self) -> "Duration":
        """Return the remaining duration at a uniformly random moment within it."""
        return Duration(self.mean / 2, self.variance / 4 + self.mean**2 / 12)


def fit_stage_time(means: Moments) -> StageTime:
    """Fit and return the stage time of measured means; `means.runs` is their number of runs."""
    if not means.runs or means.seconds <= 0:
        return StageTime()
    variety = means.megapixels_squares - means.megapixels**2
    together = means.products - means.megapixels * means.seconds
    slope = 0.0
    if means.runs >= _MIN_FIT_RUNS and variety > _MIN_SIZE_VARIANCE * max(
        means.megapixels**2, 0.01
    ):
        # Clamped: cost never falls with size, and the intercept is not negative.
        slope = min(max(together / variety, 0.0), means.seconds / means.megapixels)
    around = means.squares - means.seconds**2 - 2 * slope * together + slope**2 * variety
    measured = max(around, 0.0) / means.seconds**2
    spread = (measured * means.runs + _DEFAULT_SPREAD**2 * _PRIOR_RUNS) / (means.runs + _PRIOR_RUNS)
    return StageTime(
        seconds=means.seconds - slope * means.megapixels,
        seconds_per_megapixel=slope,
        usual_megapixels=means.megapixels,
        spread=spread**0.5,
    )


def add_defaults(
    measured: Mapping[Capability, StageTime], cards: Iterable[ModelCard]
) -> dict[Capability, StageTime]:
    """Return the measured stage times, and a default for each other model whose card has a cost.

    Where the task's default model was measured, its stage time is scaled by the ratio of the two
    cards' costs.
    """
    leading = [card for card in cards if card.leads]
    default_cards = {card.task: card for card in leading if card.default}
    times = dict(measured)
    for card in leading:
        cost = card.speed.get("cpu_ms")
        if cost is None or card.capability in measured:
            continue
        times[card.capability] = StageTime(cost / 1000 + _OVERHEAD_SECONDS)
        reference = default_cards.get(card.task)
        reference_time = None if reference is None else measured.get(reference.capability)
        if reference is not None and reference_time is not None and reference.speed.get("cpu_ms"):
            scale = cost / reference.speed["cpu_ms"]
            times[card.capability] = replace(
                reference_time,
                seconds=reference_time.seconds * scale,
                seconds_per_megapixel=reference_time.seconds_per_megapixel * scale,
            )
    return times


def add(connection: Connection, timed: Mapping[Capability, Moments]) -> None:
    """Add measured runs to the stored averages; rows are locked in the order of their keys."""
    if not timed:
        return
    names = sorted(timed)
    means = {
        field: [float(getattr(timed[name], field)) / timed[name].runs for name in names]
        for field in _MEANS
    }
    connection.execute(
        text("""
            WITH made AS (
                SELECT *, 1 - power(1 - :smoothing, runs) AS recent FROM unnest(
                    CAST(:names AS text[]), CAST(:runs AS bigint[]), CAST(:seconds AS float8[]),
                    CAST(:squares AS float8[]), CAST(:megapixels AS float8[]),
                    CAST(:megapixels_squares AS float8[]), CAST(:products AS float8[])
                ) AS made (
                    capability, runs, seconds, squares, megapixels, megapixels_squares, products
                )
            ), before AS (
                SELECT made.capability, greatest(
                    made.recent, CAST(made.runs AS float8) / (made.runs + coalesce(paces.runs, 0))
                ) AS share
                FROM made LEFT JOIN paces USING (capability)
            )
            INSERT INTO paces AS known (
                capability, runs, seconds, squares, megapixels, megapixels_squares, products
            )
            SELECT capability, runs, seconds, squares, megapixels, megapixels_squares, products
            FROM made ORDER BY capability
            ON CONFLICT (capability) DO UPDATE SET (
                runs, seconds, squares, megapixels, megapixels_squares, products
            ) = (
                SELECT known.runs + excluded.runs,
                    known.seconds + share * (excluded.seconds - known.seconds),
                    known.squares + share * (excluded.squares - known.squares),
                    known.megapixels + share * (excluded.megapixels - known.megapixels),
                    known.megapixels_squares
                        + share * (excluded.megapixels_squares - known.megapixels_squares),
                    known.products + share * (excluded.products - known.products)
                FROM before WHERE before.capability = known.capability
            )
        """),
        {
            "names": names,
            "runs": [timed[name].runs for name in names],
            "smoothing": _SMOOTHING,
            **means,
        },
    )


def read_stage_times(connection: Connection) -> dict[Capability, StageTime]:
    """Return the stage time of every measured capability."""
    rows = connection.execute(
        text("""
            SELECT capability, runs, seconds, squares, megapixels, megapixels_squares, products
            FROM paces
        """)
    )
    return {Capability(row[0]): fit_stage_time(Moments(*row[1:])) for row in rows}
