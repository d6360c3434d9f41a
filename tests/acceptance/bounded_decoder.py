"""Decode photos in a memory-bounded process: `python -m … BYTES` reads mutants.

Standard input: pickled (seed, content) pairs in one list.  Standard output: a JSON line for each,
written as soon as it is known: {"seed", "outcome", "seconds"}.
"""

import json
import pickle
import resource
import sys
import time
from pathlib import Path

from smart_filter_shared.errors import UnusablePhoto
from smart_filter_workers import images


def main() -> None:
    _bound_memory(int(sys.argv[1]))
    mutants: list[tuple[int, bytes]] = pickle.load(sys.stdin.buffer)
    for seed, content in mutants:
        started = time.process_time()
        outcome = _outcome(content)
        seconds = time.process_time() - started
        line = json.dumps({"seed": seed, "outcome": outcome, "seconds": seconds})
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def _bound_memory(more_bytes: int) -> None:
    """Limit this process to `more_bytes` above its present size, libraries included."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + more_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _outcome(content: bytes) -> str:
    try:
        images.decode(content)
    except UnusablePhoto as error:
        return error.code
    except Exception as error:  # noqa: BLE001 - the very thing that is looked for
        return f"{type(error).__name__}: {error}"
    return "picture"


if __name__ == "__main__":
    main()
