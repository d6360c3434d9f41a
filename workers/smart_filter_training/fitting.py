"""Fitting a Keras network: one cycle of the learning rate, averaged weights, and going on."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import keras

from smart_filter_shared.errors import SetupFailed
from smart_filter_training.batches import Batches
from smart_filter_training.record import Record

Network = Any  # keras ships no types
Losses = Any  # what Keras takes: a loss, or one by output

# The averaged weights forget what lies this many steps back; short runs average less.
AVERAGED_STEPS: Final = 500
# The file of a run that another one can begin with.
WEIGHTS: Final = "network.weights.h5"
# A tenth of the steps warm up. Source: Smith & Topin 2019, "Super-convergence" (one cycle).
WARM_UP: Final = 0.1
# By how many epochs are done: weights with the optimiser's state, and where the random
# generators of dropout stand, which Keras does not keep.
_CHECKPOINT: Final = "epoch-{:04d}.weights.h5"
_CHANCE: Final = "chance-{:04d}.json"


def seed_everything(seed: int) -> None:
    """Make what follows the same in every run: weights, dropout, shuffling.

    To the last bit on one thread; several add up in another order each time, and TensorFlow's
    own remedy for that takes twice as long.
    """
    keras.utils.set_random_seed(seed)


@contextmanager
def precision(*, half: bool) -> Iterator[None]:
    """Have layers that are made meanwhile multiply in bfloat16, and keep weights in float32."""
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16" if half else "float32")
    try:
        yield
    finally:
        keras.mixed_precision.set_dtype_policy(before)


def in_full_precision(network: Network) -> Network:
    """Return a copy of a network whose layers multiply in float32."""

    def exact(layer: Any) -> Any:  # noqa: ANN401 - keras ships no types
        settings = layer.get_config()
        # Operations between layers have no type of their own.
        if "dtype" in settings:
            settings["dtype"] = "float32"
        return layer.__class__.from_config(settings)

    copy = keras.models.clone_model(network, clone_function=exact)
    copy.set_weights(network.get_weights())
    # Without the optimiser, whose state is twice as large.
    return keras.Model(copy.input, copy.output, name=network.name)


def load(network: Network, file: Path) -> None:
    """Give a network the weights of a file that was saved from one of its shape.

    Raises SetupFailed.
    """
    try:
        network.load_weights(file)
    except (OSError, ValueError, KeyError) as error:
        why = str(error).partition("\n")[0]
        raise SetupFailed(f"{file} has no weights of this network: {why}") from error


def optimiser(*, learning_rate: float, steps: int, weight_decay: float) -> Any:  # noqa: ANN401
    """Return AdamW over one cycle of `steps`, with averaged weights.

    Source: Loshchilov & Hutter 2019, "Decoupled weight decay regularization".
    """
    warm_up = max(1, round(WARM_UP * steps))
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=learning_rate / 25,
        decay_steps=max(1, steps - warm_up),
        warmup_target=learning_rate,
        warmup_steps=warm_up,
        alpha=1e-3,
    )
    found = keras.optimizers.AdamW(
        schedule,
        weight_decay=weight_decay,
        clipnorm=1.0,
        use_ema=True,
        ema_momentum=1 - 1 / max(2, min(AVERAGED_STEPS, steps // 10)),
        ema_overwrite_frequency=None,
    )
    # Normalisation and biases are not pulled to zero.
    found.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return found


def fit(
    network: Network, batches: Batches, *, validation: tuple[Any, Any], epochs: int, record: Record
) -> None:
    """Fit a compiled network; afterwards it has its averaged weights, and WEIGHTS holds them.

    validation: inputs and targets as Keras takes them, for the curves alone.  A run whose
    record has a checkpoint goes on behind the last whole epoch of it.
    """
    keeper = _Keeper(record, validation)
    network.optimizer.build(network.trainable_variables)
    done = keeper.restore(network)
    batches.start_at(done)
    network.fit(
        batches, epochs=epochs, initial_epoch=done, shuffle=False, verbose=0, callbacks=[keeper]
    )
    in_full_precision(network).save_weights(record.folder / WEIGHTS)


class _Keeper(keras.callbacks.Callback):  # type: ignore[misc]  # keras ships no types
    """Keeps what a killed run needs, and draws the curves, after each epoch."""

    def __init__(self, record: Record, validation: tuple[Any, Any]) -> None:
        super().__init__()
        self._record = record
        self._validation = validation

    def restore(self, network: Network) -> int:
        """Load the newest checkpoint; return how many epochs are done."""
        kept = self._kept()
        if not kept:
            return 0
        done = int(kept[-1].name.removeprefix("epoch-")[:4])
        chance = self._record.checkpoint_folder / _CHANCE.format(done)
        try:
            network.load_weights(kept[-1])
            stood = json.loads(chance.read_text(encoding="utf-8"))
            for state, values in zip(_chance(network), stood, strict=True):
                state.assign(values)
        except (OSError, ValueError, KeyError, TypeError) as error:
            why = str(error).partition("\n")[0]
            raise SetupFailed(
                f"{kept[-1]} is no checkpoint of this run ({why}): remove {self._record.folder}"
                " to begin anew"
            ) from error
        return done

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Draw the curves, then keep this epoch and drop the one before."""
        inputs, targets = self._validation
        measured = self.model.evaluate(inputs, targets, batch_size=256, verbose=0, return_dict=True)
        for name, value in (logs or {}).items():
            self._record.scalar(f"train/{name}", float(value), epoch + 1)
        for name, value in measured.items():
            self._record.scalar(f"validation/{name}", float(value), epoch + 1)
        folder, before = self._record.checkpoint_folder, self._kept()
        folder.mkdir(parents=True, exist_ok=True)
        stands = [keras.ops.convert_to_numpy(state).tolist() for state in _chance(self.model)]
        (folder / _CHANCE.format(epoch + 1)).write_text(json.dumps(stands), encoding="utf-8")
        kept = folder / _CHECKPOINT.format(epoch + 1)
        partial = kept.with_name(f"partial-{kept.name}")
        self.model.save_weights(partial)
        partial.replace(kept)
        for old in (*before, *folder.glob(_CHANCE.format(epoch))):
            old.unlink()
        self._record.note(epochs_done=epoch + 1)

    def _kept(self) -> list[Path]:
        return sorted(self._record.checkpoint_folder.glob("epoch-*.weights.h5"))


def _chance(network: Network) -> list[Any]:
    """Return the states of the random generators of a network's layers, in a fixed order."""
    weights = {id(weight) for weight in network.weights}
    return [value for value in network.variables if id(value) not in weights]
