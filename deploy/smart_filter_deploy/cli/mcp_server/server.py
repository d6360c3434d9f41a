"""The MCP server: its tools, the wording of its errors, and its two transports."""

import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import CallToolResult, InputRequiredResult, ToolAnnotations
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from smart_filter_client import errors as client_errors
from smart_filter_deploy.cli.mcp_server import results
from smart_filter_deploy.cli.mcp_server.caller_check import PATH, CallerCheck
from smart_filter_deploy.cli.mcp_server.local_files import LocalFolders
from smart_filter_deploy.cli.mcp_server.tools import Tools
from smart_filter_deploy.cli.server.connection import to_command_error
from smart_filter_deploy.cli.terminal.exit_codes import CommandError
from smart_filter_shared import suggestions
from smart_filter_shared.security.strict_heads import StrictHeadsProtocol

_ABOUT = (
    "Cuts people out of photos, rates smiles and open eyes, and replaces backgrounds. Usual steps:"
    " submit_photo, wait_for_job, then choose_background with the same job_id for another picture."
)
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
# Characters of a text of the caller in an error.
_MAX_SHOWN = 200
# A choice in pydantic's list of them, such as `'image' or 'matte'`.
_QUOTED = re.compile(r"'([^']*)'")
# Event streams are open for as long as their clients are.
_DRAIN_SECONDS = 5
_READS = ToolAnnotations(read_only_hint=True)
_ADDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False)


def build_server(folders: LocalFolders | None) -> MCPServer:
    """Return the server; folders: of stdio; None over HTTP, where no file is read."""
    photos = (
        "https:// addresses" if folders is None else f"files below {folders}, or https:// addresses"
    )
    server = _Server(
        "smart-filter",
        title="Smart Filter",
        instructions=f"{_ABOUT} Photos are {photos}.",
        version=version("smart-filter"),
        log_level="WARNING",
    )
    tools = Tools(folders)
    server.add_tool(tools.submit_photo, annotations=_ADDS)
    server.add_tool(tools.wait_for_job, annotations=_READS)
    server.add_tool(tools.rate_photo, annotations=_ADDS)
    server.add_tool(tools.find_backgrounds, annotations=_READS)
    server.add_tool(tools.choose_background, annotations=_ADDS)
    server.add_tool(tools.best_of_album, annotations=_ADDS)
    server.add_tool(tools.wait_for_album, annotations=_READS)
    if folders is not None:
        server.add_tool(tools.save_output, annotations=_ADDS)
    return server


def serve_http(host: str, port: int, names: Sequence[str]) -> None:
    """Serve streamable HTTP until a signal.

    names: hosts in addition to loopback that requests may name, which stops DNS rebinding.
    """
    names = [name.lower() for name in names]
    hosts = (*_LOOPBACK, *names)
    security = TransportSecuritySettings(
        allowed_hosts=[*names, *(f"{name}:*" for name in hosts)],
        allowed_origins=[
            f"{scheme}://{name}{port}"
            for scheme in ("http", "https")
            for name in hosts
            for port in ("", ":*")
        ],
    )
    # Without sessions, an invented key leaves nothing behind: the service checks keys, not this
    # server, and the tools keep no state between calls.
    app = build_server(None).streamable_http_app(
        streamable_http_path=PATH, stateless_http=True, transport_security=security
    )
    uvicorn.run(
        CallerCheck(app),
        http=StrictHeadsProtocol,
        host=host,
        port=port,
        log_level="warning",
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )


class _Server(MCPServer):
    """Words expected errors as one sentence; the SDK logs others, and does not show them."""

    # Any: the SDK's own signature.
    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool; return its result, or its error as a sentence."""
        for tool in await self.list_tools():
            properties = tool.input_schema["properties"] if tool.name == name else arguments
            for unknown in arguments.keys() - properties.keys():
                near = suggestions.did_you_mean(unknown, properties)
                return results.to_error(f"{name} has no argument {unknown!r}{near}")
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            return results.to_error(_describe(error))


def _describe(error: ToolError) -> str:
    """Return the sentence of an expected error; raises the others again."""
    match error.__cause__:
        case None:
            return str(error)
        case ValidationError() as invalid:
            return _describe_argument(invalid.errors()[0])
        case client_errors.Unauthorized() as refused:
            return f"the service rejects the API key: {refused}"
        case client_errors.Error() as failed:
            return to_command_error(failed).message
        case OSError(filename=str() | Path() as file, strerror=str() as reason):
            return f"{str(file)[:_MAX_SHOWN]}: {reason.lower()}"
        case CommandError() | ToolError() | OSError() as cause:
            return str(cause)
    raise error


def _describe_argument(error: ErrorDetails) -> str:
    """Return the sentence of an argument that does not fit its type."""
    name = ".".join(map(str, error["loc"]))
    given = repr(error["input"])[:_MAX_SHOWN]
    match error["type"]:
        case "missing":
            return f"{name} is missing"
        case "literal_error":
            values = _QUOTED.findall(error["ctx"]["expected"])
            near = suggestions.did_you_mean(str(error["input"]), values)
            return f"{name}: {given} is none of {', '.join(values)}{near}"
        case "string_pattern_mismatch":
            return f"{name}: {given} is not an id; use one that another tool returned"
    return f"{name}: {error['msg'][0].lower()}{error['msg'][1:]}"
