"""`smart-filter mcp`: tools for assistants that speak the Model Context Protocol."""

import signal
from pathlib import Path

import click

from smart_filter_deploy.cli.commands.options import EXISTING_FOLDER
from smart_filter_deploy.cli.mcp_server.local_files import LocalFolders
from smart_filter_deploy.cli.mcp_server.server import build_server, serve_http
from smart_filter_deploy.cli.terminal.text import examples, print_line


@click.command(
    epilog=examples(
        "smart-filter mcp --folder ~/Pictures",
        "smart-filter mcp --http --port 8770",
    )
)
@click.option(
    "--folder",
    "folders",
    multiple=True,
    type=EXISTING_FOLDER,
    metavar="DIR",
    help="Folder with photos that tools may read, and write to; repeat for more. Default: the"
    " working directory.",
)
@click.option("--http", is_flag=True, help="Serve streamable HTTP instead of stdio.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=8770, show_default=True)
@click.option(
    "--allow-host",
    "names",
    multiple=True,
    metavar="NAME",
    help="Name by which clients reach --http, in addition to localhost; repeat for more.",
)
def mcp(
    folders: tuple[Path, ...], host: str, port: int, names: tuple[str, ...], *, http: bool
) -> None:
    """Serve tools for assistants (Model Context Protocol): submit, wait, rate, choose, rank.

    Uses the server in SMART_FILTER_URL (with SMART_FILTER_API_KEY), else the local stack of
    `smart-filter up`. With --http, callers send API keys of their own, and no file is read.
    """
    if not http:
        # The SDK's thread that reads standard input would outlive a KeyboardInterrupt.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        build_server(LocalFolders.at(folders)).run("stdio")
        return
    if folders:
        raise click.UsageError("--folder is for stdio: with --http no file is read")
    print_line(f"MCP server on http://{host}:{port}/mcp", err=True)
    serve_http(host, port, names)
