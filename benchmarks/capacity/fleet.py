"""Read `measured.toml` and `prices.toml`, and build the simulated systems from them."""

import hashlib
import itertools
import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from benchmarks.capacity.system import Pool, Stage, System, Visit
from smart_filter_shared.pipeline import PIPELINE, StageName

# Pools: workers without a GPU serve all stages except segmentation, or all stages.
CPU: Final = "cores"
GPU: Final = "GPUs"
# The kind of fleets whose workers run all stages of a photo, one after the other, under one lease.
NO_GPU: Final = "no GPU"
DATABASE, BROKER, NETWORK = "PostgreSQL", "Redis", "network"
GETS, PUTS = "storage: reads", "storage: writes"
# Concurrent transfers on the network; each gets an equal share of the bandwidth.
_TRANSFERS: Final = 10
_FOLDER: Final = Path(__file__).parent
_INPUTS: Final = ("measured", "prices")

# The objects that each stage reads from storage and writes to it; smaller copies of photos of 1 MP
# are made again instead of stored.
_READS: Final[Mapping[StageName, tuple[str, ...]]] = {
    StageName.PREPARE: ("photo",),
    StageName.SEGMENTATION: ("photo",),
    StageName.FACE: ("photo",),
    StageName.SMILE: ("photo",),
    StageName.COMPOSITE: ("photo", "matte"),
}
_WRITES: Final[Mapping[StageName, tuple[str, ...]]] = {
    StageName.PREPARE: ("photo",),  # the preview is no larger than a photo
    StageName.SEGMENTATION: ("matte",),
    StageName.COMPOSITE: ("photo",),
}
# The same of a worker that runs all stages of a photo, which keeps it in memory.
_READS_AT_ONCE: Final[Sequence[str]] = ("photo",)
_ALL_WRITES: Final[Sequence[str]] = tuple(itertools.chain.from_iterable(_WRITES.values()))
# The client's upload and download.
_OF_CLIENT: Final = ("photo", "photo")


@dataclass(frozen=True, slots=True)
class PhotoLoad:
    """What one photo asks of the shared servers of a cell.

    gets, puts: requests to storage, the client's included.  megabytes: over the network.
    database: its measured table.
    """

    gets: int
    puts: int
    megabytes: float
    database: Mapping[str, Any]

    @property
    def database_seconds(self) -> float:
        """Seconds of one core of the database."""
        return float(self.database["core_seconds"])


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
        stage_seconds = self._stage_of_five(StageName.SEGMENTATION, kind).alone_seconds
        return math.ceil(stage_seconds / self.gpu_seconds(kind))

    @cached_property
    def cores_per_worker(self) -> int:
        """The cores of a worker without a GPU."""
        return int(self.measured["workers"]["cores"])

    def load(self, kind: str) -> PhotoLoad:
        """Return what one photo asks of a cell's servers; each of its stages is claimed alone."""
        if kind == NO_GPU:
            database, reads = "database_for_all_stages", _READS_AT_ONCE
        else:
            database, reads = "database", tuple(itertools.chain.from_iterable(_READS.values()))
        writes = _ALL_WRITES
        moved = (*reads, *writes, *_OF_CLIENT)
        return PhotoLoad(
            gets=1 + len(reads),
            puts=1 + len(writes),
            megabytes=sum(map(self._megabytes, moved)),
            database=self.measured[database],
        )

    @cached_property
    def batched_database_seconds(self) -> float:
        """The core seconds of one photo in the database when eight stages are claimed at once."""
        batched = float(self.measured["database_in_eights"]["core_seconds"])
        each = self.load(self.kinds[0]).database_seconds / (1 + len(PIPELINE))
        return each + batched * len(PIPELINE)

    @cached_property
    def broker_seconds(self) -> float:
        """The seconds of the broker's thread for one photo."""
        return float(self.measured["broker"]["ring_seconds"]) * len(PIPELINE)

    @cached_property
    def api_seconds(self) -> float:
        """The core seconds of one photo in the API."""
        return float(self.measured["accept"]["core_seconds"])

    def saturation(self, kind: str) -> Mapping[str, float]:
        """Return the photos a second that saturate each shared server of one cell."""
        storage, load = self.measured["storage"], self.load(kind)
        return {
            DATABASE: self._database_cores / load.database_seconds,
            BROKER: 1 / self.broker_seconds,
            GETS: storage["gets_per_second"] / load.gets,
            PUTS: storage["puts_per_second"] / load.puts,
            NETWORK: self._megabytes_per_second / load.megabytes,
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
        pools = {
            CPU: Pool(
                workers[CPU],
                threads=host["threads"],
                slots=host["cores"],
                wake_seconds=wake_seconds,
            )
        }
        if kind != NO_GPU:
            pools[GPU] = Pool(
                workers[GPU],
                threads=self.gpu_threads(kind),
                batch_size=host["batch_size"],
                wake_seconds=wake_seconds,
            )
        return System(
            stages=self._stages(kind),
            pools=pools,
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
                Visit(DATABASE, self._database_turn_seconds(kind)),
            ),
        )

    @cached_property
    def digest(self) -> str:
        """The digest of the numbers; the text about their sources does not count."""
        numbers = json.dumps([_figures_of(self.measured), _figures_of(self.prices)])
        return hashlib.sha256(numbers.encode()).hexdigest()[:16]

    def _database_turn_seconds(self, kind: str) -> float:
        """Return the cost of the submission or of one claim; all are assumed to cost the same."""
        claims = 1 if kind == NO_GPU else len(PIPELINE)
        return self.load(kind).database_seconds / (1 + claims)

    @property
    def _database_cores(self) -> int:
        return int(self.measured["database_server"]["cores"])

    @property
    def _megabytes_per_second(self) -> float:
        return float(self.measured["network"]["gigabits_per_second"] / 8 * 1000)

    def _stages(self, kind: str) -> tuple[Stage, ...]:
        if kind == NO_GPU:
            costs = self.measured["stages"]
            seconds = self.measured["around_all_stages"]["core_seconds"] + sum(
                costs[stage.name] for stage in PIPELINE
            )
            return (self._stage("photo", kind, seconds, _READS_AT_ONCE, _ALL_WRITES),)
        return tuple(
            replace(self._stage_of_five(stage.name, kind), needs=stage.needs) for stage in PIPELINE
        )

    def _stage_of_five(self, name: StageName, kind: str) -> Stage:
        reads, writes = _READS[name], _WRITES.get(name, ())
        if not _on_gpu(name):
            return self._stage(name, kind, self._core_seconds(name), reads, writes)
        on_gpu = self._stage(name, kind, self.gpu_seconds(kind), reads, writes)
        # A machine with a GPU has enough cores for the work around a stage.
        return replace(on_gpu, pool=GPU, photo_seconds=self._around_seconds)

    def _stage(
        self, name: str, kind: str, seconds: float, reads: Sequence[str], writes: Sequence[str]
    ) -> Stage:
        # One half claims, the other half completes.
        database = Visit(DATABASE, self._database_turn_seconds(kind) / 2)
        broker = Visit(BROKER, self.measured["broker"]["ring_seconds"])
        return Stage(
            name=name,
            pool=CPU,
            forward_seconds=seconds,
            claim=(broker, database),
            load=self._transfers(GETS, "get", reads),
            store=self._transfers(PUTS, "put", writes),
            complete=(database,),
        )

    @property
    def _around_seconds(self) -> float:
        return float(self.measured["around"]["core_seconds"])

    def _core_seconds(self, name: StageName) -> float:
        return self._around_seconds + float(self.measured["stages"][name])

    def _transfers(self, server: str, way: str, what: Sequence[str]) -> tuple[Visit, ...]:
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
