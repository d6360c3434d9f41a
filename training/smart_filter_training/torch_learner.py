"""A torch module in training.  Importing this imports no torch: data are checked without it."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

Torch: TypeAlias = Any  # torch is not installed where types are checked

# Shorter runs average fewer steps than this share keeps.
_FIRST_STEPS: Final = 9


class Stateful(Protocol):
    """What a checkpoint holds: a module, an optimizer, and the like."""

    def state_dict(self) -> Mapping[str, Any]:
        """Return tensors, numbers and texts."""
        ...

    def load_state_dict(self, state: Mapping[str, Any], /) -> object:
        """Restore what `state_dict` returned."""
        ...


@dataclass(slots=True, kw_only=True)
class TorchLearner:
    """A module in training.

    compute_losses: gets a batch; returns the losses that are summed, and other numbers for the
        curves, by name.
    rates: gets the number of a batch; returns the learning rate of each group of parameters.
    seed: random numbers of the module depend on it and on the batch's number alone.
    clip: the longest gradient of all parameters together, 0 for any.
    average: a copy of the module, which becomes a running mean; `averaged`: the share that a step
        keeps of it.
    others: what else a checkpoint holds.
    """

    module: Torch
    optimizer: Torch
    compute_losses: Callable[[Any], tuple[Mapping[str, Torch], Mapping[str, float]]]
    rates: Callable[[int], Sequence[float]]
    seed: int
    clip: float = 0.0
    average: Torch = None
    averaged: float = 0.0
    others: Mapping[str, Stateful] = field(default_factory=dict)
    _scaler: Torch = field(init=False)

    def __post_init__(self) -> None:
        """Scale losses on a GPU, where half precision would lose small gradients."""
        torch = importlib.import_module("torch")
        is_on_gpu = next(self.module.parameters()).device.type == "cuda"
        self._scaler = torch.amp.GradScaler("cuda", enabled=is_on_gpu)

    def learn(self, number: int, batch: Any) -> Mapping[str, float]:  # noqa: ANN401 - a model's own
        """Train on a batch; return its losses, their sum and the learning rate."""
        torch = importlib.import_module("torch")
        torch.manual_seed(self.seed * 1_000_003 + number)
        rates = self.rates(number)
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        losses, numbers = self.compute_losses(batch)
        total: Torch = sum(losses.values())
        self.optimizer.zero_grad()
        self._scaler.scale(total).backward()
        if self.clip > 0:
            self._scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.module.parameters(), self.clip)
        self._scaler.step(self.optimizer)
        self._scaler.update()
        if self.average is not None:
            self._average(number + 1)
        shown = {"loss": total, **losses} if len(losses) > 1 else {"loss": total}
        values = {name: float(loss.detach()) for name, loss in shown.items()}
        all_numbers = {**values, **numbers, "learning_rate": float(rates[0])}
        return {f"train/{name}": value for name, value in all_numbers.items()}

    def validate(self) -> Mapping[str, float]:
        """Return nothing: figures of validation pictures take longer than the run."""
        return {}

    def save(self, file: Path) -> None:
        """Write the state of every part."""
        torch = importlib.import_module("torch")
        torch.save({name: part.state_dict() for name, part in self._parts().items()}, file)

    def load(self, file: Path) -> None:
        """Restore every part."""
        torch = importlib.import_module("torch")
        # A pickle can run code; this reads tensors and plain values only.
        state = torch.load(file, map_location="cpu", weights_only=True)
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> Mapping[str, Stateful]:
        parts = {"module": self.module, "optimizer": self.optimizer, "scaler": self._scaler}
        if self.average is not None:
            parts["average"] = self.average
        return {**parts, **self.others}

    def _average(self, done: int) -> None:
        torch = importlib.import_module("torch")
        kept = min(self.averaged, done / (done + _FIRST_STEPS))
        with torch.no_grad():
            for mean, new in zip(self.average.parameters(), self.module.parameters(), strict=True):
                mean.lerp_(new, 1 - kept)
