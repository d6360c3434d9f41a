"""The smile shutter: the best frame of each moment in which everybody smiles with open eyes.

A state machine over frames, which knows nothing of pictures. A **moment** begins with the first
frame in which everybody smiles enough with open eyes. Those of its frames that are about as good
as the best make its peak, and the one in the middle of that is told, once: models that are sure
of a smile say little of how it grows and fades, but that is alike on both sides. It is told when
the moment is over, because people smile clearly less or close their eyes for longer than a
blink, or when the peak has lasted, because they hold their smile. Then the shutter rests
until somebody has stopped smiling, for longer than a slip of the models lasts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from smart_filter_shared.rating import SmileLevel
from smart_filter_workers.results import Eyes, Face, Smile

# So much of a peak is enough to tell its middle.
HELD_SECONDS: Final = 1.0
# A moment is over when for so long nobody could have been taken. A blink lasts 0.1 to 0.4 s.
OVER_SECONDS: Final = 0.45
# And the shutter is ready again when somebody has not smiled for so long.
SERIOUS_SECONDS: Final = 0.3
# Scores that differ by less are alike: cameras' noise alone moves them so much.
ALIKE: Final = 0.05
# Of the score at the peak: who smiles so much less has stopped smiling at the camera.
FALLEN_TO: Final = 0.75
# Faces less than half as wide as the largest are passers-by, as for printability.
COUNTS_FROM: Final = 0.5
_SMILING: Final = frozenset({SmileLevel.MODERATE, SmileLevel.HUGE})


@dataclass(frozen=True, slots=True)
class Look:
    """What a frame shows of everybody who counts.

    smile: the score of whoever smiles least, 0..1, 0 without a face.  smiling: whether
    everybody smiles enough; eyes_open: whether everybody's eyes are open.
    """

    smile: float
    smiling: bool
    eyes_open: bool


@dataclass(frozen=True, slots=True)
class Taken:
    """A frame in which everybody smiles: its number, when it was, in seconds, its smile, 0..1."""

    number: int
    at: float
    smile: float


class _State(Enum):
    READY = auto()
    MOMENT = auto()
    RESTING = auto()


class Shutter:
    """Tells the best frame of each moment; frames come in the order of their time."""

    def __init__(self) -> None:
        self._state = _State.READY
        # Of a moment the frames that are about as good as its best, in order.
        self._peak: list[Taken] = []
        # Since when nobody could be taken, or somebody was serious; None: not now.
        self._since: float | None = None

    def observe(self, number: int, look: Look, *, at: float) -> Taken | None:
        """Take note of a frame; return the best of a moment when its turn has come.

        at: when the frame was, in seconds of any clock.
        """
        if self._state == _State.RESTING:
            self._rest(look, at)
        if look.smiling and look.eyes_open and self._state != _State.RESTING:
            self._state = _State.MOMENT
            self._take(Taken(number, at, look.smile))
        if self._state != _State.MOMENT:
            return None
        return self._told() if self._is_over(look, at) else None

    def _rest(self, look: Look, at: float) -> None:
        if look.smiling:
            self._since = None
        elif self._has_lasted(SERIOUS_SECONDS, at):
            self._state, self._since = _State.READY, None

    def _take(self, taken: Taken) -> None:
        least = max(one.smile for one in [*self._peak, taken]) - ALIKE
        self._peak = [one for one in [*self._peak, taken] if one.smile >= least]

    def _is_over(self, look: Look, at: float) -> bool:
        smile = max(one.smile for one in self._peak)
        if look.smiling and look.eyes_open and look.smile >= FALLEN_TO * smile:
            self._since = None
            return at - self._peak[0].at >= HELD_SECONDS
        return self._has_lasted(OVER_SECONDS, at)

    def _told(self) -> Taken:
        middle = (self._peak[0].at + self._peak[-1].at) / 2
        best = min(self._peak, key=lambda one: abs(one.at - middle))
        self._state, self._peak, self._since = _State.RESTING, [], None
        return best

    def _has_lasted(self, seconds: float, at: float) -> bool:
        if self._since is None:
            self._since = at
        return at - self._since >= seconds


def look_of(faces: Sequence[Face], smiles: Sequence[Smile], eyes: Sequence[Eyes]) -> Look:
    """Return what a frame shows of everybody who counts; all three in the same order.

    Eyes of a face are open when one is known to be, and none is known to be shut: of a head that
    is turned one is hidden.
    """
    widest = max((face.box[2] for face in faces), default=0.0)
    counted = [
        (smile, eye)
        for face, smile, eye in zip(faces, smiles, eyes, strict=True)
        if face.box[2] >= COUNTS_FROM * widest
    ]
    return Look(
        smile=min((smile.score for smile, _ in counted), default=0.0),
        smiling=bool(counted) and all(smile.level in _SMILING for smile, _ in counted),
        eyes_open=bool(counted) and all(_are_open(eye) for _, eye in counted),
    )


def _are_open(eyes: Eyes) -> bool:
    known = {eyes.left_open, eyes.right_open}
    return True in known and False not in known
