"""The card of a model: identity, requirements, license and measured quality.

A card is pure data. Workers publish their cards into the table `models`. The API validates recipes
against that table and returns it at `GET /v1/models`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from smart_filter_shared.catalog.parameters import Parameter, Parameters, fill_defaults
from smart_filter_shared.catalog.scalars import Scalar
from smart_filter_shared.ids import Capability
from smart_filter_shared.pipeline import LEADING_TASK, STAGE_OF_TASK, StageName, TaskName
from smart_filter_wire.catalog import ModelWeights as WeightsFile
from smart_filter_wire.words import Commercial

# Parameter that selects the file of weights of a model with several.
ENTRY_PARAMETER = "entry"
# Parameter of an ensemble: the models whose mattes it combines.
MEMBERS_PARAMETER = "members"
# Parameter of an ensemble: the weight of each member.
WEIGHTS_PARAMETER = "weights"
# Parameter of an ensemble: the model that runs instead when the members disagree.
STRONGER_PARAMETER = "stronger"
# Parameter of a model that starts with another model's matte: that model.
MATTE_MODEL_PARAMETER = "matte_model"
# Parameters that name one model, or several separated by commas, of the card's own task.
MODEL_NAME_PARAMETERS = frozenset({MEMBERS_PARAMETER, MATTE_MODEL_PARAMETER})


@dataclass(frozen=True, slots=True)
class ModelCard:
    """The card of one model.

    name: unique within its task.  version: changes whenever results may change.
    family: part of the capability (`<stage>.<family>`) when the task leads its stage.
    default: whether `auto` means this model; true for exactly one card of each task.
    commercial: whether code, weights and training data allow commercial use, numbers fitted to
        data included; all models but those with YES can be turned off.
    stands_in: whether `auto` means this model where the default one is turned off; true for
        exactly one card of each task whose default can be. It has the default's family, so that
        the same pool of workers runs either.
    emotions: whether it infers emotions from faces; such models can be turned off.
    source: origin of weights and method.  license: an SPDX expression of the weights.
    data_terms: terms of the training data; "" when unknown.
    weights: files that are checked by digest before they are loaded.
    optional: whether its weights are fetched by its name only, so that not every worker has them.
    input_size: width and height in pixels of the network's input; None when it takes any.
    batch_size: maximum of photos in one forward pass.
    quality: measured figures by name, such as {"iou_portrait": 0.963}; the docs say how.
    speed: measured cost by name: cpu_ms a photo on one thread, peak_mb of a process.
    parameters: values that a recipe may set for the model.
    ascending: pairs of parameters; the first must not exceed the second.
    requires: packages that must be importable.  extra: the extra of smart-filter that installs
        them.
    combines: whether it is loaded with access to the other models of its task.
    instances: whether it separates persons.  explains: whether it can show its steps as the
        output `debug`.  any_subject: whether it cuts out whatever stands out, not people alone.
        without_people: whether it does so unasked, for photos without people (subject=auto): it
        finds nothing where nothing stands out.  best_edge: whether `auto` means it with edge=best,
        where a worker serves it; true for at most one card, as without_people is.  All five are
        for segmentation only.
    learns: name of the one of `weights` that training replaces; "" when the model cannot be
        trained here.
    """

    name: str
    version: str
    task: TaskName
    family: str
    title: str
    source: str
    license: str
    data_terms: str
    default: bool = False
    commercial: Commercial = Commercial.ASK
    stands_in: bool = False
    emotions: bool = False
    weights: tuple[WeightsFile, ...] = ()
    optional: bool = False
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
    any_subject: bool = False
    without_people: bool = False
    best_edge: bool = False
    learns: str = ""

    @property
    def research(self) -> bool:
        """Whether it is off where only weights for commercial use may run."""
        return self.commercial != Commercial.YES

    @property
    def digest(self) -> str | None:
        """The digest of its weights, lower-case hex; None for a model without weights.

        The SHA-256 of the file that training replaces, else of its only file. With several files,
        the SHA-256 of their digests and names, a line each, as `sha256sum` prints them.
        """
        for file in self.weights:
            if file.name == self.learns or len(self.weights) == 1:
                return file.sha256
        if not self.weights:
            return None
        lines = "".join(f"{file.sha256}  {file.name}\n" for file in self.weights)
        return hashlib.sha256(lines.encode()).hexdigest()

    def with_weights(self, digest: str) -> tuple[WeightsFile, ...]:
        """Return its files, with `digest` for the one that training replaces."""
        return tuple(
            WeightsFile(file.name, digest) if file.name == self.learns else file
            for file in self.weights
        )

    @property
    def fingerprint(self) -> str:
        """A digest of everything that affects pictures or recipes, lower-case hex.

        The process that validates a recipe and the process that runs it must have the same. The
        list of entries is left out, because it differs between machines; rows name their entries.
        """
        settable = [
            (
                parameter.name,
                parameter.kind,
                None if parameter.name == ENTRY_PARAMETER else parameter.schema,
            )
            for parameter in self.parameters
        ]
        content = [
            *(self.task, self.name, self.version, self.family, settable, self.ascending),
            *([(file.name, file.sha256) for file in self.weights], self.learns),
            *(self.combines, self.instances, self.explains),
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    @property
    def stage(self) -> StageName:
        """The stage that runs it."""
        return STAGE_OF_TASK[self.task]

    @property
    def leads(self) -> bool:
        """Whether the stage's capability is named after this model's family."""
        return LEADING_TASK[self.stage] == self.task

    @property
    def capability(self) -> Capability:
        """The capability of workers that run it: stage and family, such as `face.centerface`.

        A model that does not lead its stage is on every worker of the stage; its capability is the
        stage's name alone.
        """
        return Capability(f"{self.stage}.{self.family}" if self.leads else str(self.stage))

    @property
    def everywhere(self) -> bool:
        """Whether each worker of its stage has it: it needs no package and no other weights."""
        return not (self.requires or self.optional) and self.parameter(ENTRY_PARAMETER) is None

    def parameter(self, name: str) -> Parameter | None:
        """Return one parameter, or None when the model has none of that name."""
        return next((parameter for parameter in self.parameters if parameter.name == name), None)

    def completed(self, given: Parameters) -> dict[str, Scalar]:
        """Return the value of every parameter: the given value, or the default."""
        return fill_defaults(self.parameters, given)


@dataclass(frozen=True, slots=True)
class Offer:
    """A model, and whether the worker that publishes it can run it.

    fault: why it cannot run, in one line with the remedy; None when it can.
    withdrawn: whether an operator turned it off; then no other worker offers it either.
    """

    card: ModelCard
    fault: str | None = None
    withdrawn: bool = False
