"""The smile shutter: the best frame of each moment in which all people smile with open eyes.

A state machine over frame summaries, without pictures. A **moment** begins with the first frame in
which all people smile enough with open eyes. Its frames that are about as good as the best form
its peak, and the middle frame of the peak is reported, once: the scores of confident models hardly
show how a smile grows and fades, but both sides look alike. The frame is reported when the moment
is over, because someone smiles clearly less or closes their eyes for longer than a blink, or when
the peak has lasted long enough. After that the shutter rests until someone has stopped smiling for
longer than a single error of the models.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from smart_filter_shared.best_shot import MIN_FACE_SHARE
from smart_filter_shared.rating import SmileLevel
from smart_filter_shared.results import Face, Smile
from smart_filter_wire.findings import Eyes

# A peak this long is enough to find its middle.
PEAK_SECONDS: Final = 1.0
# A moment is over after this long without a suitable frame. A blink lasts 0.1 to 0.4 s.
OVER_SECONDS: Final = 0.45
# The shutter is ready again when someone has not smiled for this long.
SERIOUS_SECONDS: Final = 0.3
# Scores that differ by less count as equal: camera noise alone moves them this far.
SAME_SCORE_WITHIN: Final = 0.05
# Share of the peak's score below which people have stopped smiling at the camera.
STOPPED_SMILING_SHARE: Final = 0.75
_SMILING_LEVELS: Final = frozenset({SmileLevel.MODERATE, SmileLevel.HUGE})


@dataclass(frozen=True, slots=True)
class FrameSummary:
    """The faces of a frame, without passers-by, in summary.

    smile: the lowest smile score, 0..1, 0 without a face.  smiling: whether all people smile
    enough; eyes_open: whether the eyes of all are open.
    """

    smile: float
    smiling: bool
    eyes_open: bool


@dataclass(frozen=True, slots=True)
class SmilingFrame:
    """A frame in which all people smile: its number, its time in seconds, its smile, 0..1."""

    number: int
    at: float
    smile: float


class _State(Enum):
    READY = auto()
    MOMENT = auto()
    RESTING = auto()


class Shutter:
    """Finds the best frame of each moment; frames must come in the order of their times."""

    def __init__(self) -> None:
        self._state = _State.READY
        # The frames of a moment that are about as good as its best, in order.
        self._peak: list[SmilingFrame] = []
        # Since when no frame was suitable, or someone was serious; None: not now.
        self._since: float | None = None

    def observe(self, number: int, look: FrameSummary, *, at: float) -> SmilingFrame | None:
        """Add a frame; return the best frame of a moment when the moment is over.

        at: the time of the frame, in seconds of any clock.
        """
        if self._state == _State.RESTING:
            self._rest(look, at)
        if look.smiling and look.eyes_open and self._state != _State.RESTING:
            self._state = _State.MOMENT
            self._take(SmilingFrame(number, at, look.smile))
        if self._state != _State.MOMENT:
            return None
        return self._finish_moment() if self._is_over(look, at) else None

    def _rest(self, look: FrameSummary, at: float) -> None:
        if look.smiling:
            self._since = None
        elif self._has_lasted(SERIOUS_SECONDS, at):
            self._state, self._since = _State.READY, None

    def _take(self, frame: SmilingFrame) -> None:
        least = max(summary.smile for summary in [*self._peak, frame]) - SAME_SCORE_WITHIN
        self._peak = [summary for summary in [*self._peak, frame] if summary.smile >= least]

    def _is_over(self, look: FrameSummary, at: float) -> bool:
        smile = max(summary.smile for summary in self._peak)
        if look.smiling and look.eyes_open and look.smile >= STOPPED_SMILING_SHARE * smile:
            self._since = None
            return at - self._peak[0].at >= PEAK_SECONDS
        return self._has_lasted(OVER_SECONDS, at)

    def _finish_moment(self) -> SmilingFrame:
        middle = (self._peak[0].at + self._peak[-1].at) / 2
        best = min(self._peak, key=lambda summary: abs(summary.at - middle))
        self._state, self._peak, self._since = _State.RESTING, [], None
        return best

    def _has_lasted(self, seconds: float, at: float) -> bool:
        if self._since is None:
            self._since = at
        return at - self._since >= seconds


def summarize_frame(
    faces: Sequence[Face], smiles: Sequence[Smile], eyes: Sequence[Eyes]
) -> FrameSummary:
    """Return the summary of a frame's faces; all three arguments are in the same order.

    The eyes of a face count as open if at least one is known to be open and none is known to be
    closed: a turned head hides one eye.
    """
    widest = max((face.box[2] for face in faces), default=0.0)
    counted = [
        (smile, eye)
        for face, smile, eye in zip(faces, smiles, eyes, strict=True)
        if face.box[2] >= MIN_FACE_SHARE * widest
    ]
    return FrameSummary(
        smile=min((smile.score for smile, _ in counted), default=0.0),
        smiling=bool(counted) and all(smile.level in _SMILING_LEVELS for smile, _ in counted),
        eyes_open=bool(counted) and all(_has_open_eyes(eye) for _, eye in counted),
    )


def _has_open_eyes(eyes: Eyes) -> bool:
    states = {eyes.left_open, eyes.right_open}
    return True in states and False not in states
