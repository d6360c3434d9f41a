"""A process that runs an embedded stack, for tests that signal or kill it.

    embedded_process.py FOLDER [--user UID:GID --python PATH --wheels FOLDER]

Prints one JSON line once all is up, `{"pids": {name: [pid…]}, "servers": {…}}`, then supervises. An
error is one line on standard error and exit status 1. With --user, modules that need root's rights
are imported first; then the process becomes that user's, with an interpreter and wheels that this
user can reach.
"""

import argparse
import encodings.idna  # noqa: F401  else looked for when it is too late, by the first connection
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from smart_filter_deploy.embedded.binaries import postgres_folder, valkey_program
from smart_filter_deploy.embedded.child_processes import Command, StopRequest
from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_deploy.embedded.stack import Stack
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.security.signing_certificate import CERTIFICATE

_PATIENT = "import signal; signal.pause()"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--user")
    parser.add_argument("--python")
    parser.add_argument("--wheels")
    wanted = parser.parse_args()
    if wanted.user:
        # Imports needed modules while they can still be read.
        for look in (postgres_folder, valkey_program):
            look()
        uid, gid = map(int, wanted.user.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
        sys.executable = wanted.python
        sys.path.insert(0, wanted.wheels)
        os.environ["PATH"] = f"{wanted.wheels}:{os.environ['PATH']}"
        # That interpreter may lack the packages that make a test certificate.
        os.environ[CERTIFICATE] = "the operator's"
    try:
        _run(wanted.folder)
    except SetupFailed as error:
        sys.exit(f"{error}")


def _run(folder: Path) -> None:
    with StopRequest() as stop, Stack(DataFolder.at(folder), stop=stop) as stack:
        stack.start(Command(name="worker-1", argv=(sys.executable, "-c", _PATIENT)))
        stack.announce(url="http://127.0.0.1:1", api_key="key")
        pids = {name: stack.pids(name) for name in stack.names}
        print(json.dumps({"pids": pids, "servers": asdict(stack.addresses)}), flush=True)  # noqa: T201  how it answers the test
        stack.supervise()


if __name__ == "__main__":
    main()
