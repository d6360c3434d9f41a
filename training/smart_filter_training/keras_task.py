"""Train a Keras network: batches, one cycle of the learning rate, averaged weights, resuming.

`start` returns the network to train, `train` trains it on labeled pictures, `fit` on any batches.
Importing this module imports Keras; models import it when training starts.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import keras
import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.errors import SetupFailed
from smart_filter_training.examples import Data, Examples
from smart_filter_training.run_record import RunRecord

# Keras ships no types.
Network = Any
Tensor = Any
Loss = Any  # a loss, or one for each output by name
# With seed, start, epochs, batch_size, learning_rate, weight_decay; half_precision is optional.
Configuration = Any

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Targets: TypeAlias = Floats | Mapping[str, Floats]
# Arguments: the epoch, the number of the batch in it, and the numbers of its examples, (N,).
MakeBatch: TypeAlias = Callable[[int, int, NDArray[np.int64]], tuple[Any, Any]]

# The average of the weights covers about this many last steps; short runs average fewer.
AVERAGED_STEPS: Final = 500
# The file in a run's folder with which another run can start.
WEIGHTS: Final = "network.weights.h5"
# The share of steps that warm up. Source: Smith & Topin 2019, "Super-convergence" (one cycle).
WARM_UP: Final = 0.1
# Files by the number of finished epochs: weights with the optimizer's state, and the states of the
# random generators of dropout, which Keras does not save.
_CHECKPOINT: Final = "epoch-{:04d}.weights.h5"
_RANDOM_STATES: Final = "chance-{:04d}.json"


class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # keras ships no types
    """Shuffled batches of `count` examples; any thread may draw one.

    A batch depends on the seed, the epoch and its number alone, so that a run that was killed
    resumes as if it had not been.
    """

    def __init__(self, count: int, make_batch: MakeBatch, *, batch_size: int, seed: int) -> None:
        # One thread prepares the next batches while the network trains on this one.
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=4)
        self._count = count
        self._make_batch = make_batch
        self._batch_size = batch_size
        self._seed = seed
        self.start_at(0)

    def start_at(self, epoch: int) -> None:
        """Shuffle for an epoch, numbered from 0."""
        self._epoch = epoch
        order = np.random.default_rng((self._seed, epoch)).permutation(self._count)
        # A batch that needs more examples than there are repeats some.
        self._order = np.resize(order, max(self._count, self._batch_size)) if self._count else order

    def __len__(self) -> int:
        """Return the number of whole batches in an epoch; other epochs show the rest."""
        return max(1, self._count // self._batch_size)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """Return the inputs and the targets of one batch."""
        chosen = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        return self._make_batch(self._epoch, index, chosen)

    def on_epoch_end(self) -> None:
        """Shuffle for the next epoch."""
        self.start_at(self._epoch + 1)


@dataclass(frozen=True, slots=True)
class AugmentedPictures:
    """Pictures with targets, augmented batch by batch.

    augment: gets a random generator and a batch of pictures, and returns the network's input.
    """

    pictures: Bytes
    targets: Targets
    augment: Callable[[np.random.Generator, Bytes], Floats]
    seed: int

    def make_batch(self, epoch: int, index: int, chosen: NDArray[np.int64]) -> tuple[Any, Any]:
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
        Batches(
            len(pictures), augmented.make_batch, batch_size=configuration.batch_size, seed=seed
        ),
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

    validation: inputs and targets as Keras takes them, for the curves alone.  A run whose
    record has a checkpoint resumes after its last whole epoch.
    """
    network.compile(
        _make_optimizer(configuration, steps=len(batches) * configuration.epochs),
        loss=loss,
        loss_weights=loss_weights,
        metrics=metrics,
    )
    checkpoints = _Checkpoints(record, validation)
    network.optimizer.build(network.trainable_variables)
    done = checkpoints.restore(network)
    batches.start_at(done)
    network.fit(
        batches,
        epochs=configuration.epochs,
        initial_epoch=done,
        shuffle=False,
        verbose=0,
        callbacks=[checkpoints],
    )
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


class _Checkpoints(keras.callbacks.Callback):  # type: ignore[misc]  # keras ships no types
    """Saves the state of a run and draws its curves after each epoch."""

    def __init__(self, record: RunRecord, validation: tuple[Any, Any]) -> None:
        super().__init__()
        self._record = record
        self._validation = validation

    def restore(self, network: Network) -> int:
        """Load the newest checkpoint; return the number of finished epochs."""
        saved = self._files()
        if not saved:
            return 0
        done = int(saved[-1].name.removeprefix("epoch-")[:4])
        states_file = self._record.checkpoint_folder / _RANDOM_STATES.format(done)
        try:
            network.load_weights(saved[-1])
            states = json.loads(states_file.read_text(encoding="utf-8"))
            for state, values in zip(_random_states(network), states, strict=True):
                state.assign(values)
        except (OSError, ValueError, KeyError, TypeError) as error:
            why = str(error).partition("\n")[0]
            raise SetupFailed(
                f"{saved[-1]} is not a checkpoint of this run ({why}): remove"
                f" {self._record.folder} to start over"
            ) from error
        return done

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Draw the curves, save this epoch, and remove the previous one."""
        inputs, targets = self._validation
        figures = self.model.evaluate(inputs, targets, batch_size=256, verbose=0, return_dict=True)
        for name, value in (logs or {}).items():
            self._record.scalar(f"train/{name}", float(value), epoch + 1)
        for name, value in figures.items():
            self._record.scalar(f"validation/{name}", float(value), epoch + 1)
        folder, before = self._record.checkpoint_folder, self._files()
        folder.mkdir(parents=True, exist_ok=True)
        states = [keras.ops.convert_to_numpy(seed).tolist() for seed in _random_states(self.model)]
        states_file = folder / _RANDOM_STATES.format(epoch + 1)
        states_file.write_text(json.dumps(states), encoding="utf-8")
        file = folder / _CHECKPOINT.format(epoch + 1)
        partial = file.with_name(f"partial-{file.name}")
        self.model.save_weights(partial)
        partial.replace(file)
        for old in (*before, *folder.glob(_RANDOM_STATES.format(epoch))):
            old.unlink()
        self._record.note(epochs_done=epoch + 1)

    def _files(self) -> list[Path]:
        return sorted(self._record.checkpoint_folder.glob("epoch-*.weights.h5"))


def _random_states(network: Network) -> list[Any]:
    """Return the states of the random generators of a network's layers, in a fixed order."""
    weights = {id(weight) for weight in network.weights}
    return [value for value in network.variables if id(value) not in weights]
