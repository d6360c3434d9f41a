"""The object store: `rclone serve s3` over a folder; a bucket is a folder, an object a file.

What it lacks is known: no bucket policy or lifecycle, metadata of users is lost on a restart,
and a key cannot be the folder of another.
"""

import http.client
import signal

from smart_filter_deploy.embedded.binaries import rclone_program
from smart_filter_deploy.embedded.children import Command
from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_deploy.embedded.ports import LOOPBACK, free_port

ACCESS_KEY = "smart-filter"
_ANSWER_SECONDS = 1.0


def prepare(folder: DataFolder) -> tuple[Command, str, str]:
    """The command that runs it, its endpoint, and its secret key (the access key is constant).

    Raises SetupFailed when there is no program.
    """
    port, secret_key = free_port(), folder.secret("s3")
    command = Command(
        name="s3",
        argv=(
            *(str(rclone_program()), "serve", "s3", "--addr", f"{LOOPBACK}:{port}"),
            str(folder.part("s3")),
        ),
        env={
            # One entry of a CSV list, which itself holds a comma. Not on the command line,
            # which everybody on the machine can read.
            "RCLONE_AUTH_KEY": f'"{ACCESS_KEY},{secret_key}"',
            "RCLONE_CONFIG": "/dev/null",
            "TZ": "UTC",
        },
        ready=lambda: _answers(port),
        death_signal=signal.SIGTERM,
        cwd=folder.path,
    )
    return command, f"http://{LOOPBACK}:{port}", secret_key


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", "/")
        # It must refuse what is not signed: an open server would be somebody else's.
        return connection.getresponse().status >= http.client.BAD_REQUEST
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
