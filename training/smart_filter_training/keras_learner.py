"""A Keras network in training: batches, one cycle of the learning rate, averaged weights.

`start` returns the network to train, `train` trains it on labeled pictures, `fit` on any batches.
Importing this module imports Keras; models import it when training starts.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import keras
import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.errors import SetupFailed
from smart_filter_training import loop
from smart_filter_training.examples import Data, Examples
from smart_filter_training.run_record import RunRecord
from smart_filter_workers.results import Bytes, Floats

# Keras ships no types.
Network = Any
Tensor = Any
Loss = Any  # a loss, or one for each output by name
# With seed, start, epochs, batch_size, learning_rate, weight_decay; half_precision is optional.
Configuration = Any

Targets: TypeAlias = Floats | Mapping[str, Floats]
# Arguments: the epoch, the number of the batch in it, and the numbers of its examples, (N,).
MakeExamples: TypeAlias = Callable[[int, int, NDArray[np.int64]], tuple[Any, Any]]

# The average of the weights covers about this many last steps; short runs average fewer.
AVERAGED_STEPS: Final = 500
# The file in a run's folder with which another run can start.
WEIGHTS: Final = "network.weights.h5"
# The share of steps that warm up. Source: Smith & Topin 2019, "Super-convergence" (one cycle).
WARM_UP: Final = 0.1
_EVALUATED_BATCH: Final = 256


@dataclass(frozen=True, slots=True)
class Batches:
    """Endless shuffled batches of `count` examples, epoch after epoch, counted from 1.

    A batch depends on the seed, the epoch and its number alone.
    """

    count: int
    make_examples: MakeExamples
    batch_size: int
    seed: int

    @property
    def epoch(self) -> int:
        """The number of whole batches in an epoch; other epochs show the rest."""
        return max(1, self.count // self.batch_size)

    def make_batch(self, number: int) -> tuple[Any, Any]:
        """Return the inputs and the targets of one batch."""
        epoch, index = divmod(number, self.epoch)
        order = np.random.default_rng((self.seed, epoch + 1)).permutation(self.count)
        # A batch that needs more examples than there are repeats some.
        order = np.resize(order, max(self.count, self.batch_size)) if self.count else order
        chosen = order[index * self.batch_size : (index + 1) * self.batch_size]
        return self.make_examples(epoch + 1, index, chosen)


@dataclass(frozen=True, slots=True)
class AugmentedPictures:
    """Pictures with targets, augmented batch by batch.

    augment: gets a random generator and a batch of pictures, and returns the network's input.
    """

    pictures: Bytes
    targets: Targets
    augment: Callable[[np.random.Generator, Bytes], Floats]
    seed: int

    def make_examples(self, epoch: int, index: int, chosen: NDArray[np.int64]) -> tuple[Any, Any]:
        """Return the inputs and the targets of one batch."""
        rng = np.random.default_rng((self.seed, epoch, index))
        targets = (
            {name: values[chosen] for name, values in self.targets.items()}
            if isinstance(self.targets, Mapping)
            else self.targets[chosen]
        )
        return self.augment(rng, self.pictures[chosen]), targets


def start(
    build: Callable[[Configuration], Network],
    configuration: Configuration,
    *,
    trained: Path | None = None,
) -> Network:
    """Return the network that a run starts with: built, seeded, and with the weights of `start`.

    trained: the file of weights for the setting `start=own`.
    Weights, dropout and shuffling are the same in every run. On one thread, results are equal to
    the last bit; several threads add numbers in a different order each time, and TensorFlow's own
    remedy for that takes twice as long.
    Raises SetupFailed when the file to start with does not fit the network.
    """
    keras.utils.set_random_seed(configuration.seed)
    with _precision(half=getattr(configuration, "half_precision", False)):
        network = build(configuration)
    if not configuration.start:
        return network
    file = trained if configuration.start == "own" and trained else Path(configuration.start)
    try:
        network.load_weights(file)
    except (OSError, ValueError, KeyError) as error:
        why = str(error).partition("\n")[0]
        raise SetupFailed(f"{file} has no weights of this network: {why}") from error
    return network


def train(
    network: Network,
    data: Data,
    configuration: Configuration,
    record: RunRecord,
    *,
    augment: Callable[[np.random.Generator, Bytes], Floats],
    to_inputs: Callable[[Bytes], Floats],
    to_targets: Callable[[Examples], Targets],
    loss: Loss,
    loss_weights: Mapping[str, float] | None = None,
    metrics: Sequence[str] | Mapping[str, str] = ("accuracy",),
) -> Network:
    """Train a network on labeled pictures, and return it as `fit` does."""
    pictures, seed = data.train.pictures, configuration.seed
    augmented = AugmentedPictures(pictures, to_targets(data.train), augment, seed)
    return fit(
        network,
        Batches(len(pictures), augmented.make_examples, configuration.batch_size, seed),
        configuration,
        record,
        validation=(to_inputs(data.validation.pictures), to_targets(data.validation)),
        loss=loss,
        loss_weights=loss_weights,
        metrics=metrics if isinstance(metrics, Mapping) else list(metrics),
    )


def fit(
    network: Network,
    batches: Batches,
    configuration: Configuration,
    record: RunRecord,
    *,
    validation: tuple[Any, Any],
    loss: Loss,
    metrics: Sequence[Any] | Mapping[str, Any],
    loss_weights: Mapping[str, float] | None = None,
) -> Network:
    """Train a network and return it with its averaged weights; WEIGHTS holds them too.

    validation: inputs and targets as Keras takes them, for the curves alone.  The curves and
    checkpoints are those of whole epochs.
    """
    plan = loop.Plan(
        steps=batches.epoch * configuration.epochs,
        curve_interval=batches.epoch,
        checkpoint_interval=batches.epoch,
        epoch=batches.epoch,
    )
    network.compile(
        _make_optimizer(configuration, steps=plan.steps),
        loss=loss,
        loss_weights=loss_weights,
        metrics=metrics,
    )
    network.optimizer.build(network.trainable_variables)
    loop.train(_KerasLearner(network, batches.epoch, validation), batches.make_batch, plan, record)
    network.optimizer.finalize_variable_values(network.trainable_variables)
    to_full_precision(network).save_weights(record.folder / WEIGHTS)
    return network


def to_full_precision(network: Network) -> Network:
    """Return a copy of a network whose layers multiply in float32."""
    copy = keras.models.clone_model(network, clone_function=_copy_layer)
    copy.set_weights(network.get_weights())
    # Without the optimizer, whose state is twice as large.
    return keras.Model(copy.input, copy.output, name=network.name)


def add_halving_block(values: Tensor, width: int) -> Tensor:
    """Add a residual block that halves rows and columns; return its `width` channels.

    Source: He et al. 2016, "Deep residual learning for image recognition"; the shortcut is
    averaged as in He, T. et al. 2019, "Bag of tricks for image classification", model D.
    """
    shortcut = add_convolution(keras.layers.AveragePooling2D(2)(values), width, kernel=1)
    residual = keras.layers.ReLU()(add_convolution(values, width, strides=2))
    residual = add_convolution(residual, width)
    return keras.layers.ReLU()(keras.layers.Add()([shortcut, residual]))


def add_convolution(values: Tensor, width: int, *, kernel: int = 3, strides: int = 1) -> Tensor:
    """Add a convolution without a bias, and batch normalization."""
    convolution = keras.layers.Conv2D(
        width, kernel, strides=strides, padding="same", use_bias=False
    )
    return keras.layers.BatchNormalization(momentum=0.95)(convolution(values))


@contextmanager
def _precision(*, half: bool) -> Iterator[None]:
    """Let layers that are built meanwhile multiply in bfloat16, with weights in float32."""
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16" if half else "float32")
    try:
        yield
    finally:
        keras.mixed_precision.set_dtype_policy(before)


def _copy_layer(layer: Any) -> Any:  # noqa: ANN401 - keras ships no types
    settings = layer.get_config()
    # Operations between layers have no type of their own.
    if "dtype" in settings:
        settings["dtype"] = "float32"
    return layer.__class__.from_config(settings)


def _make_optimizer(configuration: Configuration, *, steps: int) -> Any:  # noqa: ANN401 - as above
    """Return AdamW over one cycle of `steps`, with averaged weights.

    Source: Loshchilov & Hutter 2019, "Decoupled weight decay regularization".
    """
    warm_up = max(1, round(WARM_UP * steps))
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=configuration.learning_rate / 25,
        decay_steps=max(1, steps - warm_up),
        warmup_target=configuration.learning_rate,
        warmup_steps=warm_up,
        alpha=1e-3,
    )
    optimizer = keras.optimizers.AdamW(
        schedule,
        weight_decay=configuration.weight_decay,
        clipnorm=1.0,
        use_ema=True,
        ema_momentum=1 - 1 / max(2, min(AVERAGED_STEPS, steps // 10)),
        ema_overwrite_frequency=None,
    )
    # Weight decay leaves out normalization and biases.
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return optimizer


@dataclass(slots=True)
class _KerasLearner:
    """A compiled network in training.  epoch: its batches."""

    network: Network
    epoch: int
    validation: tuple[Any, Any]
    _of_epoch: list[Mapping[str, float]] = field(default_factory=list)

    def learn(self, number: int, batch: tuple[Any, Any]) -> Mapping[str, float]:
        """Train on a batch; return the means of the epoch until now."""
        if number % self.epoch == 0:
            self._of_epoch.clear()
        self._of_epoch.append(self.network.train_on_batch(*batch, return_dict=True))
        return {
            f"train/{name}": float(np.mean([numbers[name] for numbers in self._of_epoch]))
            for name in self._of_epoch[0]
        }

    def validate(self) -> Mapping[str, float]:
        """Return loss and metrics of the validation examples."""
        numbers = self.network.evaluate(
            *self.validation, batch_size=_EVALUATED_BATCH, verbose=0, return_dict=True
        )
        return {f"validation/{name}": float(value) for name, value in numbers.items()}

    def save(self, file: Path) -> None:
        """Write weights, the states of random generators, and the optimizer's numbers."""
        with file.open("wb") as written:
            np.savez(written, *map(keras.ops.convert_to_numpy, self._variables()))

    def load(self, file: Path) -> None:
        """Restore all of them."""
        with np.load(file, allow_pickle=False) as saved:
            for variable, name in zip(self._variables(), saved.files, strict=True):
                variable.assign(saved[name])

    def _variables(self) -> list[Any]:
        return [*self.network.variables, *self.network.optimizer.variables]
