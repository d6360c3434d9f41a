"""Compare the peers named on the command line, or all, with the bare function."""

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import figures, paired, photos, service
from benchmarks.bare_cut_out import BareCutOut
from benchmarks.figures import Figure
from benchmarks.paired import BareFunction, NoFigures, Server
from benchmarks.peers import load, serving
from benchmarks.peers.serving import Peer
from benchmarks.photo_cpu import CUT_OUT, Jobs
from smart_filter_client import Recipe

# Limits of the mean absolute difference of the alpha from the bare function's, in levels of 255.
# Peers run the same code and differ by nothing. Ours also refines the edge: 8.5 levels, and 0.5 %
# of the pixels are on the other side. IS-Net is another network.
_MAX_DIFFERENCE_OF_PEERS = 1.0
_REMBG = "rembg"
# rembg's name of IS-Net, and ours of its weights.
_REMBG_MODEL = "isnet-general-use"
_ISNET = "isnet.onnx"
_OURS: Mapping[str, Recipe] = {
    "ours": CUT_OUT,
    "ours-isnet": {"background": "transparent", "format": "png", "subject": "any"},
    "ours-best": {**CUT_OUT, "edge": "best"},
}
_USES_ISNET = ("ours-isnet", "ours-best", _REMBG)
_MAX_DIFFERENCES = {"ours": 10.0, **dict.fromkeys(_USES_ISNET, 40.0)}

_PEERS = (
    Peer(
        name="mosec",
        command=tuple(
            "python -m benchmarks.peers.with_mosec --address 127.0.0.1 --port PORT "
            "--timeout 60000 --log-level warning".split()
        ),
    ),
    Peer(
        name="litserve",
        command=("python", "-m", "benchmarks.peers.with_litserve", "PORT"),
        upload="request",
    ),
    Peer(
        name="fastapi",
        command=tuple(
            "uvicorn benchmarks.peers.with_fastapi:app --port PORT --workers CORES "
            "--loop uvloop --http httptools --no-access-log --log-level warning".split()
        ),
    ),
    Peer(name="celery", command=("python", "-m", "benchmarks.peers.with_celery", "PORT")),
    Peer(
        name="bentoml",
        command=tuple(
            "bentoml serve benchmarks.peers.with_bentoml:CutOut --host 127.0.0.1 "
            "--port PORT".split()
        ),
    ),
    Peer(
        name="ray",
        command=("python", "-m", "benchmarks.peers.with_ray_serve", "PORT"),
        variables={
            "RAY_SERVE_ENABLE_HA_PROXY": "1",
            "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
            # A busy machine starts the proxy in more than the 5 s and 10 s of the defaults.
            "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "120",
            "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "120",
            "RAY_AUTH_MODE": "disabled",  # else it writes a token to the home folder
            "RAY_USAGE_STATS_ENABLED": "0",
        },
    ),
    Peer(
        name=_REMBG,
        command=tuple("rembg s --host 127.0.0.1 --port PORT --log_level warning --no-ui".split()),
        path="/api/remove",
        upload="file",
        form={"model": _REMBG_MODEL},
    ),
)


def main() -> None:
    """Print the figures of each server that can be measured, and the reasons of the others."""
    names = sys.argv[1:] or [*_OURS, *(peer.name for peer in _PEERS)]
    selfies = photos.selfies(photos.SIDE_OF_1_MP)
    results: list[Figure] = []
    with service.folder() as data:
        bare = BareFunction(BareCutOut(data / "weights"), selfies)
        for name in names:
            print(f"{name} …", file=sys.stderr, flush=True)
            try:
                with _up(name, data, selfies) as server:
                    limit = _MAX_DIFFERENCES.get(name, _MAX_DIFFERENCE_OF_PEERS)
                    _compare_pictures(bare.run, server, next(selfies), limit)
                    results += paired.compare(name, paired.measure_pairs(bare, server))
                    results += load.measure(name, server)
                    results.append(load.count_lost(name, server))
            except NoFigures as error:
                print(f"{name}: {error}", flush=True)
    figures.print_figures(results)


@contextmanager
def _up(name: str, data: Path, selfies: Iterator[bytes]) -> Iterator[Server]:
    """Run a server while the block lasts. Raises NoFigures when it cannot run here."""
    weights = data / "weights"
    if name in _USES_ISNET and not (weights / _ISNET).exists():
        raise NoFigures("not measured: run `smart-filter models pull isnet` first")
    if name in _OURS:
        with service.up(data) as running:
            yield Server(running.pid, Jobs(running, _OURS[name]), selfies)
        return
    peer = next(peer for peer in _PEERS if peer.name == name)
    if name == _REMBG:
        home = _rembg_home(data)
        peer = dataclasses.replace(peer, variables={"REMBG_HOME": str(home)})
    with serving.up(peer, weights, selfies) as server:
        yield server


def _rembg_home(data: Path) -> Path:
    """Return a folder in which rembg finds our copy of IS-Net; it would download another."""
    folder = data / "rembg" / "models" / _REMBG_MODEL
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / f"{_REMBG_MODEL}.onnx"
    if not link.exists():
        link.symlink_to((data / "weights" / _ISNET).resolve())
    return data / "rembg"


def _compare_pictures(
    bare: Callable[[bytes], bytes], server: Server, photo: bytes, limit: float
) -> None:
    expected, actual = _alpha(bare(photo)), _alpha(server.cut_out(photo))
    if expected.shape != actual.shape:
        raise NoFigures(f"not reported: its picture is {actual.shape}, not {expected.shape}")
    difference = float(np.mean(cv2.absdiff(expected, actual)))
    print(f"  alpha differs by {difference:.3f} levels", file=sys.stderr, flush=True)
    if difference > limit:
        raise NoFigures(f"not reported: its alpha differs by {difference:.2f} levels of 255")


def _alpha(content: bytes) -> NDArray[np.uint8]:
    """Return the (H, W) uint8 alpha of a PNG."""
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.shape[2:] != (4,):
        raise NoFigures("not reported: its answer is no picture with transparency")
    return np.ascontiguousarray(picture[:, :, 3], dtype=np.uint8)


if __name__ == "__main__":
    main()
