"""The smile shutter: the best frame of each moment in which everybody smiles with open eyes.

A state machine over frames, which knows nothing of pictures. A **moment** begins with the first
frame in which everybody smiles enough with open eyes. Its best frame is told once: when the
moment is over, which is when people smile clearly less than at its best for a while, or when
nothing better has come for a while, because they hold their smile. Then the shutter rests
until somebody has stopped smiling, for longer than a slip of the models lasts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from smart_filter_shared.rating import SmileLevel
from smart_filter_workers.results import Eyes, Face, Smile

# A plateau: nothing better has come for so long.
HELD_SECONDS: Final = 0.5
# A moment is over when for so long nobody could have been taken: longer than a blink, which lasts
# 0.1 to 0.4 s. Source: Schiffman 2001, "Sensation and perception", as usually quoted.
OVER_SECONDS: Final = 0.45
# And the shutter is ready again when somebody has not smiled for so long.
SERIOUS_SECONDS: Final = 0.3
# Better by less than this is noise, and does not make a plateau longer.
BETTER_BY: Final = 0.02
# Of the score at the best frame: who smiles so much less has stopped smiling at the camera.
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
class Best:
    """The best frame of a moment: its number, when it was, in seconds, and its smile, 0..1."""

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
        self._best: Best | None = None
        # Since when nobody could be taken, or somebody was serious; None: not now.
        self._since: float | None = None

    def observe(self, number: int, look: Look, *, at: float) -> Best | None:
        """Take note of a frame; return the best of a moment when its turn has come.

        at: when the frame was, in seconds of any clock.
        """
        good = look.smiling and look.eyes_open
        if self._state == _State.RESTING:
            self._rest(look, at)
        if self._state == _State.READY and good:
            self._state, self._best, self._since = _State.MOMENT, Best(number, at, look.smile), None
            return None
        if self._state == _State.MOMENT:
            return self._in_moment(number, look, at)
        return None

    def _rest(self, look: Look, at: float) -> None:
        if look.smiling:
            self._since = None
        elif self._has_lasted(SERIOUS_SECONDS, at):
            self._state = _State.READY

    def _in_moment(self, number: int, look: Look, at: float) -> Best | None:
        best = self._best
        if best is None:
            raise RuntimeError("a moment has a best frame from its first one on")
        good = look.smiling and look.eyes_open
        if good and look.smile > best.smile + BETTER_BY:
            self._best, self._since = Best(number, at, look.smile), None
            return None
        if good and look.smile >= FALLEN_TO * best.smile:
            self._since = None
            return self._told() if at - best.at >= HELD_SECONDS else None
        return self._told() if self._has_lasted(OVER_SECONDS, at) else None

    def _told(self) -> Best | None:
        best, self._best = self._best, None
        self._state, self._since = _State.RESTING, None
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
