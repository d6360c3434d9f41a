"""No test of `make test` measures time or waits for less time than a busy machine may need."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parents[1]
FOLDERS: Final = ("acceptance", "architecture", "deploy", "integration", "unit")
SUPPORT: Final = "smart_filter_tests"
# Parts of the support that only other suites use: those measure the service on purpose.
OTHER_SUITES: Final = ("browsing", "prometheus.py", "storm.py")
# Clocks whose differences are durations. `time.time` gives dates, for tokens and links.
CLOCKS: Final = frozenset({"monotonic", "perf_counter", "process_time", "thread_time", "timeit"})
# By file, why it reads such a clock, or sleeps.
READERS: Final = {
    "acceptance/bounded_decoder.py": "processor time of hostile pictures; other load adds none",
    f"{SUPPORT}/faults/hangs.py": "a model that hangs",
    "integration/forging_decoder.py": "a decoder that hangs",
    f"{SUPPORT}/outages.py": "the one loop that waits",
    f"{SUPPORT}/proxy.py": "a slow server",
    "integration/test_silent_servers.py": "a reader that pauses",
    f"{SUPPORT}/serving.py": "the clock that tests advance",
}
# Seconds. A wait of nothing needs no time; anything else is a guard against hangs.
LEAST_GUARD: Final = 60
# Calls whose first argument is the limit of a wait.
WAITS: Final = frozenset("exception fail_after join move_on_after result settimeout wait".split())
LIMITS: Final = frozenset({"timeout", "connect_timeout"})
# Without a limit of their own these wait for 5 s.
REQUESTS: Final = frozenset(
    f"httpx.{name}"
    for name in "AsyncClient Client delete get head options patch post put request stream".split()
)
# Waits that are expected to run out: nothing may happen meanwhile, or a loop goes on.
EXPECTED: Final = frozenset(
    {
        "integration/test_sender_posting.py: closing.wait(0.01)",
        "integration/test_silent_servers.py: ended.wait(0.05)",
        "integration/test_webhooks.py: sent.wait(0.6)",
        "integration/test_worker_states.py: drain.join(0.3)",
        "integration/picture_worker.py: stopping.wait(0.05)",
    }
)
# Their clients have clocks that only the test moves.
CLOCKED: Final = ("unit/client/", "unit/deploy/cli/server/")


@functools.cache
def parse_sources() -> dict[str, ast.Module]:
    """Return the code of all tests of `make test` and of their support, by file."""
    paths = [path for folder in (*FOLDERS, SUPPORT) for path in (TESTS / folder).rglob("*.py")]
    names = {path.relative_to(TESTS).as_posix(): path for path in paths}
    excluded = tuple(f"{SUPPORT}/{part}" for part in OTHER_SUITES)
    return {
        name: ast.parse(path.read_text())
        for name, path in sorted(names.items())
        if not name.startswith(excluded)
    }


def find_clocks(module: ast.Module) -> list[str]:
    """Return the places that read a clock of durations, or sleep in this process."""
    return [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(module)
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in {"time", "timeit"}
            and node.attr.removesuffix("_ns") in {*CLOCKS, "sleep"}
        )
        or (isinstance(node, ast.ImportFrom) and node.module in {"time", "timeit"})
    ]


def find_short_waits(module: ast.Module) -> Iterator[str]:
    """Yield the calls whose limit is a number of seconds that a busy machine may need."""
    for node in ast.walk(module):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func).rpartition(".")[2]
        keywords = LIMITS | {"seconds"} if name in {"until", "wait_until"} else LIMITS
        limits = [word.value for word in node.keywords if word.arg in keywords]
        if name in WAITS:
            limits += node.args[:1]
        if ast.unparse(node.func) in REQUESTS and not {"timeout", "transport", None} & {
            word.arg for word in node.keywords
        }:
            yield ast.unparse(node)
        for limit in limits:
            value = limit.value if isinstance(limit, ast.Constant) else None
            if isinstance(value, int | float) and 0 < value < LEAST_GUARD:
                yield ast.unparse(node)


def test_tests_read_no_clock_and_do_not_sleep() -> None:
    readers = {
        name: places for name, module in parse_sources().items() if (places := find_clocks(module))
    }

    assert {name: places for name, places in readers.items() if name not in READERS} == {}
    assert set(READERS) - set(readers) == set(), "no longer needed"


def test_limits_of_waits_are_guards_against_hangs() -> None:
    waits = {
        f"{name}: {call}"
        for name, module in parse_sources().items()
        if not name.startswith(CLOCKED)
        for call in find_short_waits(module)
    }

    assert waits - EXPECTED == set()
    assert EXPECTED - waits == set(), "no longer needed"


@pytest.mark.parametrize(
    "code",
    [
        "assert time.monotonic() - began < 30",
        "began = time.perf_counter_ns()",
        "from time import monotonic",
        "time.sleep(0.1)",
    ],
)
def test_measurement_of_time_is_found(code: str) -> None:
    assert find_clocks(ast.parse(code))


@pytest.mark.parametrize(
    ("code", "is_short"),
    [
        ("thread.join(5)", True),
        ("future.result(timeout=20)", True),
        ("httpx.get(url, timeout=1)", True),
        ("wait_until(is_done, seconds=30)", True),
        ("httpx.get(url)", True),
        ("httpx.Client(transport=function)", False),
        ("event.wait(PATIENCE_SECONDS)", False),
        ("httpx.get(url, timeout=60)", False),
        ("process.wait()", False),
    ],
)
def test_short_limit_of_a_wait_is_found(code: str, *, is_short: bool) -> None:
    assert bool(list(find_short_waits(ast.parse(code)))) is is_short
