"""The MCP server: the SDK's low-level Server over our tables of tools and prompts. Loading this loads the SDK."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any, Final, TypeVar  # Any: the SDK's context and server are generic over values that we do not use

import mcp_types as types
import msgspec
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

from aimem import __version__
from aimem.client import Client
from aimem.errors import AimemError, Code
from aimem.mcp.identity import DefaultAgent
from aimem.mcp.prompts import INSTRUCTIONS, PROMPTS, Prompt
from aimem.mcp.tools import TOOLS, Call, Effect, Tool

SERVER_NAME: Final = "ai-memory"

log = logging.getLogger("aimem.mcp")

Context = ServerRequestContext[Any, Any]
R = TypeVar("R")
T = TypeVar("T")


def make_server(client: Client, default_agent: DefaultAgent) -> Server[Any]:
    """The server of one client.

    Args:
      client: the way to the node; not used before the first tool is called.
      default_agent: the identity of calls, from the client's name.
    """
    tools = [_published(tool) for tool in TOOLS.values()]
    prompts = [_offered(prompt) for prompt in PROMPTS.values()]

    @_guarded
    async def list_tools(_: Context, __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=tools)

    @_guarded
    async def call_tool(context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        tool = _named(TOOLS, params.name, "tool", types.METHOD_NOT_FOUND)
        call = Call(client=client, agent_id=default_agent(_client_name(context)))
        try:
            answer = _text(await tool.run(call, params.arguments or {}))
        except AimemError as error:
            if error.family is Code.INTERNAL:
                raise
            return types.CallToolResult(content=[_text(_error_text(error))], is_error=True)
        return types.CallToolResult(content=[answer])

    @_guarded
    async def list_prompts(_: Context, __: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
        return types.ListPromptsResult(prompts=prompts)

    @_guarded
    async def get_prompt(_: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        prompt = _named(PROMPTS, params.name, "prompt", types.INVALID_PARAMS)
        message = types.PromptMessage(role="user", content=_text(prompt.write(params.arguments or {})))
        return types.GetPromptResult(description=prompt.description, messages=[message])

    server: Server[Any] = Server(
        SERVER_NAME, version=__version__, instructions=INSTRUCTIONS, on_list_tools=list_tools, on_call_tool=call_tool,
        on_list_prompts=list_prompts, on_get_prompt=get_prompt,
    )
    # The SDK's only middleware here reports to OpenTelemetry; nothing of ours listens, and memory texts stay at home.
    server.middleware.clear()
    return server


def _guarded(handler: Callable[[Context, T], Awaitable[R]]) -> Callable[[Context, T], Awaitable[R]]:
    """The door's last line: what is not for the client's eyes leaves as "internal error" and goes to the log."""

    @wraps(handler)
    async def run(context: Context, params: T) -> R:
        try:
            return await handler(context, params)
        except MCPError:
            raise
        except Exception:
            log.exception("mcp.request_failed", extra={"method": context.method})
            raise MCPError(types.INTERNAL_ERROR, "internal error") from None

    return run


def _named(table: Mapping[str, T], name: str, kind: str, code: int) -> T:
    """What the client named, or a protocol error: with this code if there is no such thing."""
    if not name:
        raise MCPError(types.INVALID_PARAMS, f"the name of a {kind} is required")
    if name not in table:
        raise MCPError(code, f"unknown {kind}: {name[:64]}", {kind: name[:64]})
    return table[name]


def _client_name(context: Context) -> str | None:
    said = context.session.client_params
    return said.client_info.name if said else None


def _text(text: str) -> types.TextContent:
    return types.TextContent(type="text", text=text)


def _error_text(error: AimemError) -> str:
    """A refusal as the model reads it: the sentence, the stable code, the argument at fault, further plain values."""
    answer: dict[str, object] = {"error": error.message, "code": error.code}
    if error.field is not None:
        answer["field"] = error.field
    answer |= {name: value for name, value in error.details.items() if name not in answer}
    return msgspec.json.format(msgspec.json.encode(answer), indent=2).decode()


def _published(tool: Tool) -> types.Tool:
    hints = types.ToolAnnotations(
        read_only_hint=tool.effect is Effect.READS,
        destructive_hint=tool.effect is Effect.OVERWRITES,
        idempotent_hint=tool.effect not in (Effect.ADDS, Effect.USES),
        open_world_hint=False,
    )
    return types.Tool(name=tool.name, description=tool.description, input_schema=tool.schema, annotations=hints)


def _offered(prompt: Prompt) -> types.Prompt:
    arguments = [
        types.PromptArgument(name=one.name, description=one.description, required=False) for one in prompt.arguments
    ]
    return types.Prompt(name=prompt.name, description=prompt.description, arguments=arguments or None)
