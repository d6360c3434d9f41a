"""The card of a model: what it is, what it needs, whose it is, how good it was measured to be.

A card is pure data. Workers publish theirs into the table `models`; the API validates
recipes against that table and answers it at `GET /v1/models`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from smart_filter_shared.ids import Capability
from smart_filter_shared.parameters import Parameter, Parameters, Scalar, completed
from smart_filter_shared.pipeline import StageName


class TaskName(StrEnum):
    """What a model does; model names are unique within a task."""

    PREPARE = "prepare"
    ORIENTATION = "orientation"
    SEGMENTATION = "segmentation"
    FACE = "face"
    SMILE = "smile"
    EYES = "eyes"
    COMPOSITE = "composite"


# Eyes are read by the smile stage: its leading model rates smiles, a light one beside it eyes.
# So is the orientation by `prepare`.
STAGE_OF_TASK: Mapping[TaskName, StageName] = {
    TaskName.PREPARE: StageName.PREPARE,
    TaskName.ORIENTATION: StageName.PREPARE,
    TaskName.SEGMENTATION: StageName.SEGMENTATION,
    TaskName.FACE: StageName.FACE,
    TaskName.SMILE: StageName.SMILE,
    TaskName.EYES: StageName.SMILE,
    TaskName.COMPOSITE: StageName.COMPOSITE,
}
# The parameter by which a model with many files of weights is told which one to use.
ENTRY = "entry"
# The parameter by which an ensemble is told whose mattes it joins.
MEMBERS = "members"
# And by which it is told how much each of them counts.
WEIGHTS = "weights"
# And who does it instead when they disagree.
STRONGER = "stronger"
# A stage's leading model names its capability.
LEADING_TASK: Mapping[StageName, TaskName] = {
    StageName.PREPARE: TaskName.PREPARE,
    StageName.SEGMENTATION: TaskName.SEGMENTATION,
    StageName.FACE: TaskName.FACE,
    StageName.SMILE: TaskName.SMILE,
    StageName.COMPOSITE: TaskName.COMPOSITE,
}


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """A file of weights as it lies in the weights folder.

    name: its path below the folder; sha256: lower-case hex digest of its bytes.
    """

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What is known of one model.

    name: unique within its task; version: changes whenever results may change.
    family: names the capability (`<stage>.<family>`) when the task leads its stage.
    default: whether `auto` means this one; exactly one card a task says so.
    research: whether its weights were made of data that is for research only, or of unknown
        terms; such models can be turned off.
    stands_in: whether `auto` means this one where they are; exactly one card of each task whose
        default is such a model says so.
    source: where weights and method come from; licence: an SPDX expression of the weights.
    data_terms: terms of the data that made the weights, or "" when unknown to us.
    weights: files checked by digest before they are loaded.
    input_size: width and height in pixels of the network's input; None when it takes any.
    batch_size: the most photos that one forward pass takes.
    quality: measured figures by name, such as {"iou_portrait": 0.963}; the docs say how.
    speed: measured cost by name: cpu_ms a photo on one thread, peak_mb of a process.
    parameters: what a recipe may set for it.
    ascending: pairs of parameters of which the first must not exceed the second.
    requires: packages that must be importable; extra: the extra of ours that brings them.
    combines: whether it is loaded with access to the other models of its task.
    instances: whether it tells persons apart; explains: whether it can show its steps as the
        output `debug` (both of segmentation only).
    learns: the one of `weights` that training makes anew, by its name; "" when nothing of the
        model can be trained here.
    """

    name: str
    version: str
    task: TaskName
    family: str
    title: str
    source: str
    licence: str
    data_terms: str
    default: bool = False
    research: bool = False
    stands_in: bool = False
    weights: tuple[WeightsFile, ...] = ()
    input_size: tuple[int, int] | None = None
    batch_size: int = 1
    quality: Mapping[str, float] = field(default_factory=dict)
    speed: Mapping[str, float] = field(default_factory=dict)
    devices: tuple[str, ...] = ("cpu",)
    parameters: tuple[Parameter, ...] = ()
    ascending: tuple[tuple[str, str], ...] = ()
    requires: tuple[str, ...] = ()
    extra: str = ""
    combines: bool = False
    instances: bool = False
    explains: bool = False
    learns: str = ""

    @property
    def digest(self) -> str | None:
        """What its weights are known by, lower-case hex; None for a model without any.

        The SHA-256 of the file that it learns, else of its only file; of several, that of their
        digests and names, a line each, as `sha256sum` prints them.
        """
        for file in self.weights:
            if file.name == self.learns or len(self.weights) == 1:
                return file.sha256
        if not self.weights:
            return None
        lines = "".join(f"{file.sha256}  {file.name}\n" for file in self.weights)
        return hashlib.sha256(lines.encode()).hexdigest()

    def with_weights(self, digest: str) -> tuple[WeightsFile, ...]:
        """Return its files with other weights in place of those that it learns."""
        return tuple(
            WeightsFile(file.name, digest) if file.name == self.learns else file
            for file in self.weights
        )

    @property
    def fingerprint(self) -> str:
        """A digest of all that decides pictures, and what a recipe may ask; lower-case hex.

        Whoever validates a recipe and whoever runs it must have the same. Which entries there
        are is no part of it, which differs between machines: rows name theirs.
        """
        asked = [
            (one.name, one.kind, None if one.name == ENTRY else one.schema)
            for one in self.parameters
        ]
        decides = [
            *(self.task, self.name, self.version, self.family, asked, self.ascending),
            *([(file.name, file.sha256) for file in self.weights], self.learns),
            *(self.combines, self.instances, self.explains),
        ]
        return hashlib.sha256(json.dumps(decides).encode()).hexdigest()

    @property
    def stage(self) -> StageName:
        """The stage that runs it."""
        return STAGE_OF_TASK[self.task]

    @property
    def leads(self) -> bool:
        """Whether the stage's capability is named after it."""
        return LEADING_TASK[self.stage] == self.task

    @property
    def capability(self) -> Capability:
        """What a worker must serve to run it: stage and family, such as `face.centerface`.

        A model that does not lead its stage is present wherever the stage is served; its
        capability is the stage's name alone.
        """
        return Capability(f"{self.stage}.{self.family}" if self.leads else str(self.stage))

    @property
    def everywhere(self) -> bool:
        """Whether each worker of its stage has it: no package and no choice of weights beside."""
        return not self.requires and self.parameter(ENTRY) is None

    def parameter(self, name: str) -> Parameter | None:
        """Return one parameter, or None when the model has none of that name."""
        return next((one for one in self.parameters if one.name == name), None)

    def completed(self, given: Parameters) -> dict[str, Scalar]:
        """Return the value of every parameter: the given one, else its default."""
        return completed(self.parameters, given)


@dataclass(frozen=True, slots=True)
class Offer:
    """A model and whether whoever publishes it can run it.

    fault: why not, in one line with the remedy; None when it can.
    withdrawn: whether that is somebody's will and not a lack: then nobody else offers it either.
    """

    card: ModelCard
    fault: str | None = None
    withdrawn: bool = False
