"""Compare runtimes on the networks of the default path: processor time, memory, start, outputs.

    python -m benchmarks.runtimes

Each pass runs with one thread in a process of its own, in an environment below `build/peers` with
all three runtimes. ONNX Runtime reads .onnx, LiteRT .tflite, and OpenVINO both. Rounds alternate in
order, so other load of the machine affects all. `difference` is the largest one to the first
runtime's outputs, of their range.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from unittest import mock

import numpy as np

FOLDER: Final = Path(__file__).parents[1]
# The shapes that the product gives to networks without fixed ones.
SHAPES: Final[Mapping[str, tuple[int, ...]]] = {
    "refiner.onnx": (1, 4, 288, 288),
    "movenet.onnx": (1, 256, 256, 3),
    "centerface.onnx": (1, 3, 256, 256),
    "u2netp.onnx": (1, 3, 320, 320),
    "expression.onnx": (1, 48, 48, 1),
    "eyes.onnx": (1, 32, 32, 1),
    "orientation.onnx": (1, 64, 64, 3),
    "selfie_general.tflite": (1, 256, 256, 3),
    "selfie_landscape.tflite": (1, 144, 256, 3),
    "portrait.tflite": (1, 256, 256, 3),
    "face_landmark.tflite": (1, 192, 192, 3),
    "iris_landmark.tflite": (1, 64, 64, 3),
}
_ROUNDS = 3
_PASSES = 20

Pass = Callable[[Any], list[Any]]
Samples = dict[tuple[str, str], dict[str, list[float]]]


def open_onnxruntime(path: Path) -> Pass:
    """Return a pass of a network in ONNX Runtime, as the product opens it."""
    from smart_filter_workers.networks.runtimes import onnx_network  # noqa: PLC0415 - as below

    session = onnx_network.open_small(path.read_bytes())
    name = session.get_inputs()[0].name
    return lambda picture: session.run(None, {name: picture})


def open_litert(path: Path) -> Pass:
    """Return a pass of a network in LiteRT."""
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415 - one for each process

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    [given, *_] = interpreter.get_input_details()
    outputs = [output["index"] for output in interpreter.get_output_details()]

    def run(picture: Any) -> list[Any]:  # noqa: ANN401 - an array
        interpreter.set_tensor(given["index"], picture)
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in outputs]

    return run


def open_openvino(path: Path) -> Pass:
    """Return a pass of a network in OpenVINO, for latency and one thread, at float32."""
    import openvino  # noqa: PLC0415

    core = openvino.Core()
    model = core.read_model(path)
    model.reshape(SHAPES[path.name])
    options = {
        "INFERENCE_NUM_THREADS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = core.compile_model(model, "CPU", options).create_infer_request()
    return lambda picture: list(request.infer([picture]).values())


RUNTIMES: Final[Mapping[str, tuple[Callable[[Path], Pass], str]]] = {
    "ONNX Runtime": (open_onnxruntime, ".onnx"),
    "LiteRT": (open_litert, ".tflite"),
    "OpenVINO": (open_openvino, ".onnx .tflite"),
}


def run_one(runtime: str, path: Path, output: Path) -> dict[str, float]:
    """Return start and pass in milliseconds and memory in MB; store the outputs."""
    picture = np.random.default_rng(1).random(SHAPES[path.name], dtype=np.float32)
    resident, started_at = _resident_mb(), time.perf_counter()
    run = RUNTIMES[runtime][0](path)
    results = run(picture)
    start_ms = 1000 * (time.perf_counter() - started_at)
    np.savez(output, *results)
    passes = []
    for _ in range(_PASSES):
        used = time.process_time()
        run(picture)
        passes.append(1000 * (time.process_time() - used))
    return {
        "start_ms": start_ms,
        "memory_mb": _resident_mb() - resident,
        "pass_ms": float(np.median(passes)),
    }


def measure(weights: Path, python: Path) -> tuple[Samples, dict[tuple[str, str], str]]:
    """Return the samples of each pair of network and runtime, and the refusals of others."""
    samples: Samples = {}
    refusals: dict[tuple[str, str], str] = {}
    modules = os.pathsep.join(str(FOLDER / name) for name in ("", "shared", "workers"))
    environment = {**os.environ, "PYTHONPATH": modules}
    for name in SHAPES:
        able = [runtime for runtime, (_, ends) in RUNTIMES.items() if Path(name).suffix in ends]
        for number in range(_ROUNDS):
            for runtime in able[:: -1 if number % 2 else 1]:
                output = FOLDER / "build" / "peers" / f"{runtime} {name}.npz"
                command = [str(python), "-m", "benchmarks.runtimes", runtime]
                command += [str(weights / name), str(output)]
                done = subprocess.run(
                    command, cwd=FOLDER, env=environment, capture_output=True, check=False
                )
                if done.returncode:
                    errors = done.stderr.decode(errors="replace").split("\n")
                    refusals[name, runtime] = next(filter(None, reversed(errors)), "no message")
                    continue
                row = samples.setdefault((name, runtime), {})
                for what, value in json.loads(done.stdout.splitlines()[-1]).items():
                    row.setdefault(what, []).append(value)
        first, *others = [FOLDER / "build" / "peers" / f"{runtime} {name}.npz" for runtime in able]
        for runtime, other in zip(able[1:], others, strict=True):
            if (name, runtime) in samples:
                samples[name, runtime]["difference"] = [_difference(first, other)]
    return samples, refusals


def _difference(first: Path, second: Path) -> float:
    """Return the largest difference of outputs of the same shape, as a share of their range."""
    ours, others = ([*np.load(path).values()] for path in (first, second))
    unmatched, shares = list(others), []
    for array in ours:
        same = [other for other in unmatched if other.size == array.size]
        away = [float(np.abs(array.ravel() - other.ravel()).max()) for other in same]
        shares.append(min(away) / max(float(np.ptp(array)), 1e-6))
    return max(shares)


def _resident_mb() -> float:
    line = next(
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmRSS")
    )
    return int(line.split()[1]) / 1000


def prepare_networks(weights: Path, folder: Path) -> None:
    """Copy the networks to a folder; CenterFace as the product changes it."""
    from smart_filter_workers.networks.faces import centerface  # noqa: PLC0415 - not in the
    from smart_filter_workers.networks.runtimes import onnx_network  # noqa: PLC0415 - runtimes'

    for name in SHAPES:
        shutil.copyfile(weights / name, folder / name)
    with mock.patch.object(onnx_network, "open_small", bytes):
        changed = centerface._open(weights / "centerface.onnx")  # noqa: SLF001 - what is measured
        (folder / "centerface.onnx").write_bytes(changed)


def main() -> None:
    """Measure all, and print a row for each network and runtime."""
    from benchmarks import figures  # noqa: PLC0415 - not in the runtimes' environment
    from benchmarks.figures import Figure  # noqa: PLC0415
    from benchmarks.peers import environments  # noqa: PLC0415
    from smart_filter_shared.config import paths  # noqa: PLC0415

    python = environments.install("runtimes") / "bin" / "python"
    units = {"pass_ms": "ms", "start_ms": "ms", "memory_mb": "MB", "difference": "of range"}
    with tempfile.TemporaryDirectory() as made:
        prepare_networks(paths.data_folder() / "weights", Path(made))
        samples, refusals = measure(Path(made), python)
    lines = []
    for (name, runtime), row in samples.items():
        for what in units.keys() & row.keys():
            title = f"{name}, {runtime}: {what.partition('_')[0]}"
            lines.append(Figure(name=title, unit=units[what], samples=row[what]))
    for (name, runtime), refusal in refusals.items():
        print(f"{runtime} cannot run {name}: {refusal}", file=sys.stderr)
    figures.print_figures(sorted(lines, key=lambda line: line.name))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(run_one(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))))
    else:
        main()
