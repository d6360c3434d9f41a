"""Read `measured.toml` and `prices.toml`, and build the simulated systems from them."""

import hashlib
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from benchmarks.capacity.system import Pool, Stage, System, Visit
from smart_filter_shared.pipeline import PIPELINE, StageName

# Pools: workers without a GPU serve all stages except segmentation.
CPU: Final = "cores"
GPU: Final = "GPUs"
DATABASE, BROKER, NETWORK = "PostgreSQL", "Redis", "network"
GETS, PUTS = "storage: reads", "storage: writes"
# Concurrent transfers on the network; each gets an equal share of the bandwidth.
_TRANSFERS: Final = 10
_FOLDER: Final = Path(__file__).parent
_INPUTS: Final = ("measured", "prices")

# The objects that each stage reads from storage and writes to it.
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
    """Measured, cited and assumed figures, and prices."""

    measured: Mapping[str, Any]  # TOML tables; each is read in one place below
    prices: Mapping[str, Any]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The known kinds of GPU."""
        return tuple(name for name, row in self.measured["kinds"].items() if isinstance(row, dict))

    def gpu_seconds(self, kind: str) -> float:
        """Return the seconds that one photo occupies a GPU of this kind."""
        kinds, gpu = self.measured["kinds"], self.measured["gpu"]
        card, reference = kinds[kind], kinds[gpu["kind"]]
        faster = min(card[what] / reference[what] for what in ("teraflops", "gigabytes_per_second"))
        return float(gpu["seconds"] / faster)

    def gpu_threads(self, kind: str) -> int:
        """Return how many threads share a GPU of this kind: as few as can keep it busy.

        With another thread, a worker would only claim photos that its GPU has no time for.
        """
        stage_seconds = self._stage(StageName.SEGMENTATION, (), kind).alone_seconds
        return math.ceil(stage_seconds / self.gpu_seconds(kind))

    @cached_property
    def core_seconds(self) -> float:
        """The core seconds of one photo on workers without a GPU."""
        return sum(self._core_seconds(stage.name) for stage in PIPELINE if not _on_gpu(stage.name))

    @cached_property
    def cores_per_worker(self) -> int:
        """The cores of a worker without a GPU."""
        return int(self.measured["workers"]["cores"])

    @cached_property
    def gets(self) -> int:
        """The objects that are read for one photo, including the client's download."""
        return 1 + sum(map(len, _READS.values()))

    @cached_property
    def puts(self) -> int:
        """The objects that are written for one photo, including the photo itself."""
        return 1 + sum(map(len, _WRITES.values()))

    @cached_property
    def megabytes(self) -> float:
        """The megabytes of one photo that go over the network to storage and back."""
        moved = [*_READS.values(), *_WRITES.values(), ("photo", "photo")]
        return sum(self._megabytes(what) for some in moved for what in some)

    @cached_property
    def database_seconds(self) -> float:
        """The core seconds of one photo in the database when each stage is claimed alone."""
        return float(self.measured["database"]["core_seconds"])

    @cached_property
    def batched_database_seconds(self) -> float:
        """The same when every claim and completion covers eight stages."""
        batched = float(self.measured["database_in_eights"]["core_seconds"])
        return self._database_turn_seconds + batched * len(PIPELINE)

    @cached_property
    def broker_seconds(self) -> float:
        """The seconds of the broker's thread for one photo."""
        return float(self.measured["broker"]["ring_seconds"]) * len(PIPELINE)

    @cached_property
    def api_seconds(self) -> float:
        """The core seconds of one photo in the API."""
        return float(self.measured["accept"]["core_seconds"])

    @cached_property
    def saturation(self) -> Mapping[str, float]:
        """The photos a second that saturate each shared server of one cell."""
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
        """The seconds from the request for a GPU until a worker with it is ready."""
        starting = self.measured["starting"]
        return float(sum(starting[f"{step}_seconds"] for step in ("machine", "image", "load")))

    def system(self, kind: str, workers: Mapping[str, int]) -> System:
        """Return one cell with the given number of workers in each pool.

        Every claim costs the database as much as a single stage: batches are rarely full.
        """
        host, wake_seconds = self.measured["workers"], self.measured["doorbell"]["wake_seconds"]
        return System(
            stages=tuple(self._stage(stage.name, stage.needs, kind) for stage in PIPELINE),
            pools={
                CPU: Pool(
                    workers[CPU],
                    threads=host["threads"],
                    slots=host["cores"],
                    wake_seconds=wake_seconds,
                ),
                GPU: Pool(
                    workers[GPU],
                    threads=self.gpu_threads(kind),
                    batch_size=host["batch_size"],
                    wake_seconds=wake_seconds,
                ),
            },
            servers={
                DATABASE: self._database_cores,
                BROKER: 1,
                # Slots that yield the measured rate at the measured duration of a request.
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
        """The digest of the numbers; the text about their sources does not count."""
        numbers = json.dumps([_figures_of(self.measured), _figures_of(self.prices)])
        return hashlib.sha256(numbers.encode()).hexdigest()[:16]

    @property
    def _database_turn_seconds(self) -> float:
        """The cost of the submission or of one stage; all are assumed to cost the same."""
        return self.database_seconds / (1 + len(PIPELINE))

    @property
    def _database_cores(self) -> int:
        return int(self.measured["database_server"]["cores"])

    @property
    def _megabytes_per_second(self) -> float:
        return float(self.measured["network"]["gigabits_per_second"] / 8 * 1000)

    def _stage(self, name: StageName, needs: tuple[str, ...], kind: str) -> Stage:
        # One half claims, the other half completes.
        database = Visit(DATABASE, self._database_turn_seconds / 2)
        broker = Visit(BROKER, self.measured["broker"]["ring_seconds"])
        on_gpu = _on_gpu(name)
        return Stage(
            name=name,
            pool=GPU if on_gpu else CPU,
            needs=needs,
            # A machine with a GPU has enough cores for the work around a stage.
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
            for part in what
            for visit in (Visit(server, seconds), Visit(NETWORK, self._megabytes(part) / each))
        )

    def _megabytes(self, what: str) -> float:
        return float(self.measured["objects"][f"{what}_megabytes"])

    def _at_once(self, way: str) -> int:
        rate, seconds = (
            self.measured["storage"][f"{way}s_per_second"],
            self.measured["storage_times"][f"{way}_seconds"],
        )
        return math.ceil(float(rate) * float(seconds))


def read_figures() -> Figures:
    """Return the figures of the TOML files in this folder."""
    return Figures(*(tomllib.loads((_FOLDER / f"{name}.toml").read_text()) for name in _INPUTS))


def _on_gpu(name: StageName) -> bool:
    return name == StageName.SEGMENTATION


def _figures_of(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table and its inner tables without their texts."""
    return {
        name: _figures_of(value) if isinstance(value, dict) else value
        for name, value in table.items()
        if not isinstance(value, str)
    }
