"""The engine itself, apart from our images."""

from pathlib import Path

import pytest

from containers.engine import Engine

pytestmark = pytest.mark.timeout(600)


def test_engine_adds_no_interface_to_the_network_of_the_machine(engine: Engine) -> None:
    if not engine.is_private:
        pytest.skip("this machine's own engine has its bridges in the machine's network")

    # The first process is in the network of the machine, or of a container that the tests run in.
    machine, engines = (
        {line.partition(":")[0].strip() for line in path.read_text().splitlines()[2:]}
        for path in (Path("/proc/1/net/dev"), Path("/proc/thread-self/net/dev"))
    )

    assert "docker0" in engines
    assert "docker0" not in machine
