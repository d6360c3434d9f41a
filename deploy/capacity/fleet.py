"""The figures of `measured.toml` and `prices.toml`, and the systems that are made of them."""

import hashlib
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from capacity.system import Pool, Stage, System, Visit
from smart_filter_shared.pipeline import PIPELINE, StageName

# Pools: workers of cores serve all stages but segmentation.
CPU: Final = "cores"
GPU: Final = "GPUs"
DATABASE, BROKER, NETWORK = "PostgreSQL", "Redis", "network"
GETS, PUTS = "storage: reads", "storage: writes"
# So many transfers share the network at once, each as fast as its part of it is.
_TRANSFERS: Final = 10
_FOLDER: Final = Path(__file__).parent
_INPUTS: Final = ("measured", "prices")

# What each stage reads from storage, and what it leaves there.
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
    def kinds(self) -> tuple[str, ...]:
        """The kinds of GPU that are known."""
        return tuple(name for name, one in self.measured["kinds"].items() if isinstance(one, dict))

    def gpu_seconds(self, kind: str) -> float:
        """Return what one photo takes of a GPU of this kind, in seconds."""
        kinds, known = self.measured["kinds"], self.measured["gpu"]
        one, reference = kinds[kind], kinds[known["kind"]]
        faster = min(one[what] / reference[what] for what in ("teraflops", "gigabytes_per_second"))
        return float(known["seconds"] / faster)

    def gpu_threads(self, kind: str) -> int:
        """Return how many threads share a GPU of this kind: as few as can keep it busy.

        Another one would only let a worker take photos that its GPU is too busy for.
        """
        beside_seconds = self._stage(StageName.SEGMENTATION, (), kind).alone_seconds
        return math.ceil(beside_seconds / self.gpu_seconds(kind))

    @cached_property
    def core_seconds(self) -> float:
        """What one photo takes of the cores of workers without a GPU, in seconds."""
        return sum(self._core_seconds(stage.name) for stage in PIPELINE if not _on_gpu(stage.name))

    @cached_property
    def cores_per_worker(self) -> int:
        """How many cores a worker without a GPU has."""
        return int(self.measured["workers"]["cores"])

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
    def database_seconds(self) -> float:
        """What one photo takes of the database's cores, each of its stages claimed alone."""
        return float(self.measured["database"]["core_seconds"])

    @cached_property
    def batched_database_seconds(self) -> float:
        """The same when every claim and completion is of eight stages."""
        batched = float(self.measured["database_in_eights"]["core_seconds"])
        return self._database_turn_seconds + batched * len(PIPELINE)

    @cached_property
    def broker_seconds(self) -> float:
        """What one photo takes of the broker's thread."""
        return float(self.measured["broker"]["ring_seconds"]) * len(PIPELINE)

    @cached_property
    def api_seconds(self) -> float:
        """What one photo takes of the API's cores."""
        return float(self.measured["accept"]["core_seconds"])

    @cached_property
    def saturation(self) -> Mapping[str, float]:
        """How many photos a second each shared server of one cell bears at the very most."""
        storage = self.measured["storage"]
        return {
            DATABASE: self._database_cores / self.database_seconds,
            BROKER: 1 / self.broker_seconds,
            GETS: storage["gets_per_second"] / self.gets,
            PUTS: storage["puts_per_second"] / self.puts,
            NETWORK: self._megabytes_per_second / self.megabytes,
        }

    @cached_property
    def gpu_start_seconds(self) -> float:
        """How long it takes from the wish for a GPU until a worker with it is ready."""
        starting = self.measured["starting"]
        return float(sum(starting[f"{step}_seconds"] for step in ("machine", "image", "load")))

    def system(self, kind: str, workers: Mapping[str, int]) -> System:
        """Return one cell that has so many workers of each pool.

        Every claim costs the database what one alone does: batches are rarely full.
        """
        own, wake_seconds = self.measured["workers"], self.measured["doorbell"]["wake_seconds"]
        return System(
            stages=tuple(self._stage(one.name, one.needs, kind) for one in PIPELINE),
            pools={
                CPU: Pool(
                    workers[CPU],
                    threads=own["threads"],
                    slots=own["cores"],
                    wake_seconds=wake_seconds,
                ),
                GPU: Pool(
                    workers[GPU],
                    threads=self.gpu_threads(kind),
                    batch_size=own["batch_size"],
                    wake_seconds=wake_seconds,
                ),
            },
            servers={
                DATABASE: self._database_cores,
                BROKER: 1,
                # So many at once, each as long as it takes, are so many a second.
                GETS: self._at_once("get"),
                PUTS: self._at_once("put"),
                NETWORK: _TRANSFERS,
            },
            accept=(
                *self._transfers(PUTS, "put", ("photo",)),
                Visit(DATABASE, self._database_turn_seconds),
            ),
        )

    @cached_property
    def digest(self) -> str:
        """What tells these figures from others; where they come from does not matter."""
        told = json.dumps([_figures_of(self.measured), _figures_of(self.prices)])
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    @property
    def _database_turn_seconds(self) -> float:
        """A photo's submission and its stages are taken to cost the same."""
        return self.database_seconds / (1 + len(PIPELINE))

    @property
    def _database_cores(self) -> int:
        return int(self.measured["database_server"]["cores"])

    @property
    def _megabytes_per_second(self) -> float:
        return float(self.measured["network"]["gigabits_per_second"] / 8 * 1000)

    def _stage(self, name: StageName, needs: tuple[str, ...], kind: str) -> Stage:
        # Half of it claims, half of it completes.
        database = Visit(DATABASE, self._database_turn_seconds / 2)
        broker = Visit(BROKER, self.measured["broker"]["ring_seconds"])
        on_gpu = _on_gpu(name)
        return Stage(
            name=name,
            pool=GPU if on_gpu else CPU,
            needs=needs,
            # Beside a GPU there are cores enough for what is done around a stage.
            photo_seconds=self._around_seconds if on_gpu else 0.0,
            forward_seconds=self.gpu_seconds(kind) if on_gpu else self._core_seconds(name),
            claim=(broker, database),
            load=self._transfers(GETS, "get", _READS[name]),
            store=self._transfers(PUTS, "put", _WRITES.get(name, ())),
            complete=(database,),
        )

    @property
    def _around_seconds(self) -> float:
        return float(self.measured["around"]["core_seconds"])

    def _core_seconds(self, name: StageName) -> float:
        return self._around_seconds + float(self.measured["stages"][name])

    def _transfers(self, server: str, way: str, what: tuple[str, ...]) -> tuple[Visit, ...]:
        seconds = self.measured["storage_times"][f"{way}_seconds"]
        each = self._megabytes_per_second / _TRANSFERS
        return tuple(
            visit
            for one in what
            for visit in (Visit(server, seconds), Visit(NETWORK, self._megabytes(one) / each))
        )

    def _megabytes(self, what: str) -> float:
        return float(self.measured["objects"][f"{what}_megabytes"])

    def _at_once(self, way: str) -> int:
        rate, seconds = (
            self.measured["storage"][f"{way}s_per_second"],
            self.measured["storage_times"][f"{way}_seconds"],
        )
        return math.ceil(float(rate) * float(seconds))


def read() -> Figures:
    """Return the figures that lie beside this file."""
    return Figures(*(tomllib.loads((_FOLDER / f"{name}.toml").read_text()) for name in _INPUTS))


def _on_gpu(name: StageName) -> bool:
    return name == StageName.SEGMENTATION


def _figures_of(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table, and those in it, without words."""
    return {
        name: _figures_of(one) if isinstance(one, dict) else one
        for name, one in table.items()
        if not isinstance(one, str)
    }
