"""Child processes of our own code: asked, limited, and ended by their parent alone."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import smart_filter_tests
from smart_filter_shared.child_processes import programs
from smart_filter_shared.child_processes.python_child import ChildDied, Limit, PythonChild
from smart_filter_tests.outages import wait_until

SERVE = "integration.asked_child:serve"
# A parent that asks its child for its id, prints it, and waits.
PARENT = f"""
import time
from smart_filter_shared.child_processes.python_child import PythonChild
child = PythonChild({SERVE!r})
print(child.ask("pid"), flush=True)
time.sleep(1000)
"""


@pytest.fixture(autouse=True)
def _child_knows_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(smart_filter_tests.__file__).parents[1]))


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_questions_and_answers_may_be_larger_than_a_pipe() -> None:
    large = os.urandom(3_000_000)

    with PythonChild(SERVE) as child:
        answers = [child.ask(large), child.ask(("small", 1))]

    assert answers == [large, ("small", 1)]


@pytest.mark.parametrize(("question", "status"), [("crash", "-11"), ("exit", "3")])
def test_child_that_ends_names_its_status(question: str, status: str) -> None:
    with PythonChild(SERVE) as child, pytest.raises(ChildDied, match=f"^status {status}$"):
        child.ask(question)


def test_child_that_exceeds_its_limit_is_killed() -> None:
    with PythonChild(SERVE) as child:
        pid = child.ask("pid")
        with pytest.raises(TimeoutError):
            child.ask("hang", Limit(ends_at=0.0))

    assert isinstance(pid, int)
    assert not is_running(pid)


def test_question_is_given_up_when_its_check_raises() -> None:
    def check() -> None:
        raise LookupError

    with pytest.raises(LookupError), PythonChild(SERVE) as child:
        child.ask("hang", Limit(check=check))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_to_all_processes_of_a_service_leaves_the_child_to_its_parent(
    number: signal.Signals,
) -> None:
    with PythonChild(SERVE) as child:
        pid = child.ask("pid")
        assert isinstance(pid, int)

        os.kill(pid, number)

        assert child.ask("still there") == "still there"


def test_child_ends_with_a_killed_parent() -> None:
    parent = programs.start([sys.executable, "-c", PARENT], env=os.environ, output=subprocess.PIPE)
    assert parent.stdout is not None
    with parent.stdout as printed:
        pid = int(printed.readline())
        assert is_running(pid)

        programs.end(parent)

    wait_until(lambda: not is_running(pid))
