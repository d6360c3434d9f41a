"""The figures of `measured.toml` and `prices.toml`, and the systems that are made of them."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from capacity.simulation import Pool, Stage, System, Visit
from smart_filter_shared.pipeline import PIPELINE, StageName

# Pools of threads, and what they share to compute.
CPU: Final = "cpu workers"
GPU: Final = "gpu workers"
CORES, GPUS = "cores", "gpus"
DATABASE, BROKER, NETWORK = "database", "broker", "network"
GETS, PUTS = "gets", "puts"
# Threads of a worker for each core or GPU: while one loads or stores, another computes.
THREADS_PER_CORE, THREADS_PER_GPU = 2, 6
_REFERENCE: Final = "V100"
_NETWORK_SLOTS: Final = 10
_FOLDER: Final = Path(__file__).parent

# What each stage reads from storage, and what it leaves there; in the order of the pipeline.
_READS: Final[Mapping[StageName, tuple[str, ...]]] = {
    StageName.PREPARE: ("photo",),
    StageName.SEGMENTATION: ("proxy",),
    StageName.FACE: ("proxy",),
    StageName.SMILE: ("proxy",),
    StageName.COMPOSITE: ("photo", "proxy", "matte"),
}
_WRITES: Final[Mapping[StageName, tuple[str, ...]]] = {
    StageName.PREPARE: ("proxy", "photo"),  # the preview is no larger than a photo
    StageName.SEGMENTATION: ("matte",),
    StageName.COMPOSITE: ("photo",),
}


@dataclass(frozen=True)
class Figures:
    """What was measured, cited or assumed, and what it costs."""

    measured: Mapping[str, Any]  # TOML's tables, each read in one place below
    prices: Mapping[str, Any]

    @property
    def gpus(self) -> tuple[str, ...]:
        """The kinds of GPU that are known."""
        return tuple(self.measured["gpus"])

    def gpu_seconds(self, kind: str) -> float:
        """Return what one photo takes of a GPU of this kind, in seconds."""
        one, reference = (self.measured["gpus"][name] for name in (kind, _REFERENCE))
        faster = min(one[what] / reference[what] for what in ("teraflops", "gigabytes_per_second"))
        return float(self.measured["gpu"]["v100_seconds"] / faster)

    @cached_property
    def core_seconds(self) -> float:
        """What one photo takes of workers' cores, in seconds, segmentation on a GPU."""
        return sum(self._core_seconds(stage.name) for stage in PIPELINE)

    @cached_property
    def gets(self) -> int:
        """How many objects one photo reads, its client's included."""
        return 1 + sum(map(len, _READS.values()))

    @cached_property
    def puts(self) -> int:
        """How many objects one photo leaves, itself included."""
        return 1 + sum(map(len, _WRITES.values()))

    @cached_property
    def megabytes(self) -> float:
        """How much of one photo goes over the network to storage and back."""
        moved = [*_READS.values(), *_WRITES.values(), ("photo", "photo")]
        return sum(self._megabytes(what) for some in moved for what in some)

    @cached_property
    def saturation(self) -> Mapping[str, float]:
        """How many photos a second each shared server of one cell bears at the very most."""
        database, storage = self.measured["database"], self.measured["storage"]
        each = database["alone_seconds"] * len(PIPELINE)
        each += self.measured["accept"]["database_seconds"]
        return {
            DATABASE: database["cores"] / each,
            BROKER: 1 / (self.measured["broker"]["stage_seconds"] * len(PIPELINE)),
            GETS: storage["gets_per_second"] / self.gets,
            PUTS: storage["puts_per_second"] / self.puts,
            NETWORK: self._gigabytes_per_second * 1000 / self.megabytes,
        }

    def system(self, kind: str, *, cores: int, gpus: int) -> System:
        """Return one cell that has so many cores and GPUs for workers.

        Every claim costs the database what one alone does: batches are rarely full.
        """
        return System(
            stages=tuple(self._stage(one.name, one.needs, kind) for one in PIPELINE),
            pools={
                CPU: Pool(THREADS_PER_CORE * cores),
                GPU: Pool(THREADS_PER_GPU * gpus, self.measured["gpu"]["batch_size"]),
            },
            servers={
                CORES: cores,
                GPUS: gpus,
                DATABASE: self.measured["database"]["cores"],
                BROKER: 1,
                # So many at once, each as long as it takes, are so many a second.
                GETS: math.ceil(self._of_storage("gets_per_second", "get_seconds")),
                PUTS: math.ceil(self._of_storage("puts_per_second", "put_seconds")),
                NETWORK: _NETWORK_SLOTS,
            },
            accept=(
                *self._puts(("photo",)),
                Visit(DATABASE, self.measured["accept"]["database_seconds"]),
                Visit(BROKER, self.measured["broker"]["stage_seconds"]),
            ),
        )

    @property
    def _gigabytes_per_second(self) -> float:
        return float(self.measured["network"]["gigabits_per_second"] / 8)

    def _stage(self, name: StageName, needs: tuple[StageName, ...], kind: str) -> Stage:
        on_gpu = name == StageName.SEGMENTATION
        database = Visit(DATABASE, self.measured["database"]["alone_seconds"] / 2)
        broker = Visit(BROKER, self.measured["broker"]["stage_seconds"])
        computing = [Visit(CORES, self._core_seconds(name))]
        if on_gpu:
            computing = [Visit(GPUS, self.gpu_seconds(kind))]
        return Stage(
            name=name,
            pool=GPU if on_gpu else CPU,
            needs=needs,
            claim=(broker, database),
            load=self._gets(_READS[name]),
            forward=tuple(computing),
            store=self._puts(_WRITES.get(name, ())),
            complete=(database,),
        )

    def _core_seconds(self, name: StageName) -> float:
        around = float(self.measured["around"]["core_seconds"])
        on_gpu = name == StageName.SEGMENTATION
        return around + (0.0 if on_gpu else float(self.measured["stages"][name]))

    def _gets(self, what: tuple[str, ...]) -> tuple[Visit, ...]:
        seconds = self.measured["storage"]["get_seconds"]
        return tuple(v for one in what for v in (Visit(GETS, seconds), self._moved(one)))

    def _puts(self, what: tuple[str, ...]) -> tuple[Visit, ...]:
        seconds = self.measured["storage"]["put_seconds"]
        return tuple(v for one in what for v in (Visit(PUTS, seconds), self._moved(one)))

    def _moved(self, what: str) -> Visit:
        each = self._gigabytes_per_second * 1000 / _NETWORK_SLOTS
        return Visit(NETWORK, self._megabytes(what) / each)

    def _megabytes(self, what: str) -> float:
        return float(self.measured["network"][f"{what}_megabytes"])

    def _of_storage(self, rate: str, seconds: str) -> float:
        return float(self.measured["storage"][rate] * self.measured["storage"][seconds])


def read() -> Figures:
    """Return the figures that lie beside this file."""
    measured, prices = (
        tomllib.loads((_FOLDER / f"{name}.toml").read_text()) for name in ("measured", "prices")
    )
    return Figures(measured, prices)
