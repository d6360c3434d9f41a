"""Containers that cannot start: a status, and one line with cause and remedy."""

import pytest

from containers.compose_stack import ComposeStack
from containers.engine import Engine
from containers.images import OwnImages

# The first test builds the images.
pytestmark = pytest.mark.timeout(1500)
NO_SERVER = 3  # smart_filter_deploy.cli.terminal.exit_codes


def test_missing_secret_is_named(stack: ComposeStack) -> None:
    absent = "SMART_FILTER_DATABASE_URL_FILE=/run/secrets/absent"

    status, printed = stack.run_once("api", "--env", absent)

    assert status not in {0, 1}
    assert line_of(printed).startswith("smart-filter: ")
    assert "SMART_FILTER_DATABASE_URL_FILE" in line_of(printed)


def test_rejected_password_ends_migrations_before_they_begin(stack: ComposeStack) -> None:
    wrong = "postgresql+psycopg://smart_filter:hush@postgres:5432/smart_filter"
    secret = stack.folder / "wrong_database_url"
    secret.write_text(wrong)
    secret.chmod(0o444)
    replaced = f"--volume={secret}:/run/secrets/wrong:ro"

    status, printed = stack.run_once(
        "migrate", replaced, "--env=SMART_FILTER_DATABASE_URL_FILE=/run/secrets/wrong"
    )

    assert status == NO_SERVER
    assert line_of(printed).startswith("smart-filter: the database rejects this process (")
    assert "correct SMART_FILTER_DATABASE_URL" in line_of(printed)
    assert "hush" not in printed


def test_port_that_is_taken_is_named(stack: ComposeStack) -> None:
    ended = stack.engine.run(
        *("docker", "compose", "exec", "--no-TTY", "api"),
        *("smart-filter", "api", "--host", "0.0.0.0", "--port", "8000"),
        folder=stack.folder,
        check=False,
    )

    assert ended.returncode == NO_SERVER
    line = line_of(ended.stdout + ended.stderr)
    assert "port 8000 of 0.0.0.0" in line
    assert "choose others with" in line


def test_full_volume_is_named(engine: Engine, own_images: OwnImages) -> None:
    # A volume of the engine, in memory, which gets the owner of the image's folder.
    tiny = "type=volume,dst=/var/lib/smart-filter,volume-opt=type=tmpfs,volume-opt=device=tmpfs"

    ended = engine.run(
        *("docker", "run", "--rm", "--read-only", "--tmpfs=/tmp:size=512m"),
        *("--mount", f"{tiny},volume-opt=o=size=1m", own_images.worker, "models", "pull"),
        check=False,
    )

    assert ended.returncode == NO_SERVER
    assert line_of(ended.stdout + ended.stderr).endswith("free space there, or enlarge the volume")


def test_volume_of_another_user_is_named(engine: Engine, own_images: OwnImages) -> None:
    ended = engine.run(
        *("docker", "run", "--rm", "--read-only", "--tmpfs=/tmp:size=512m"),
        *("--tmpfs=/var/lib/smart-filter:mode=0700", own_images.worker, "models", "pull"),
        check=False,
    )

    assert ended.returncode == NO_SERVER
    line = line_of(ended.stdout + ended.stderr)
    assert line.startswith("smart-filter: /var/lib/smart-filter/")
    assert line.endswith("(Permission denied); let its user read and write there")


def test_limit_of_memory_that_is_too_small_is_named(stack: ComposeStack) -> None:
    status, printed = run_worker(stack, "--memory=200m")

    assert status == NO_SERVER
    assert "raise the limit" in line_of(printed)


def test_kernel_without_cgroups_for_memory_is_named(stack: ComposeStack) -> None:
    # An empty folder in place of the kernel's.
    status, printed = run_worker(stack, "--tmpfs=/sys/fs/cgroup:ro")

    assert status == NO_SERVER
    assert "has neither cgroup v2 nor the memory controller of v1" in line_of(printed)
    assert line_of(printed).endswith("or set SMART_FILTER_MEMORY_MB")


def run_worker(stack: ComposeStack, option: str) -> tuple[int, str]:
    """Return the status of a worker with an option of `docker run`, and what it has printed."""
    [segmentation, *_] = stack.inspect("segmentation")
    networks = f"--network={stack.project}_servers"
    variables = [f"--env={one}" for one in segmentation["Config"]["Env"]]
    secrets = f"--volume={stack.folder}/deploy/secrets:/run/secrets:ro"
    ended = stack.engine.run(
        *("docker", "run", "--rm", "--user=0", option, networks, secrets, *variables),
        *(segmentation["Config"]["Image"], "worker", "--stages", "smile"),
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr


def line_of(printed: str) -> str:
    """Return the last line of a process that has printed no traceback."""
    assert "Traceback" not in printed
    return printed.strip().splitlines()[-1]
