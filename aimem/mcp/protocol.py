"""The MCP server: the SDK's low-level Server over our tables. Loading this loads the SDK."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any, Final, TypeVar  # Any: the SDK's context and server are generic over values that we do not use

import mcp_types as types
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from aimem import __version__
from aimem.client import Client
from aimem.config import McpProfile
from aimem.errors import AimemError, ApprovalRequired, Code
from aimem.mcp.identity import DefaultAgent
from aimem.mcp.profile import listed, tools_version, unlisted
from aimem.mcp.prompts import INSTRUCTIONS, PROMPTS
from aimem.mcp.published import (
    error_text,
    published_memories,
    published_prompt,
    published_template,
    published_tool,
    queued_text,
    text_content,
)
from aimem.mcp.resources import MIME_TYPE, TEMPLATES, list_resources, read_resource
from aimem.mcp.tools import TOOLS, Call

SERVER_NAME: Final = "ai-memory"

NO_SUCH_RESOURCE: Final = -32002
"""The code for it of the protocols with a handshake; later ones say -32602."""

_LIST_TOOLS: Final = "tools/list"

log = logging.getLogger("aimem.mcp")

Context = ServerRequestContext[Any, Any]
Identify = Callable[[Context], Call]
R = TypeVar("R")
T = TypeVar("T")


def make_server(client: Client, default_agent: DefaultAgent, profile: McpProfile = McpProfile.FULL) -> Server[Any]:
    """The server of one client.

    Args:
      client: the way to the node; not used before the first tool is called.
      default_agent: the identity of calls, from the client's name.
      profile: which tools the client is shown.
    """
    hidden = unlisted(profile)

    def identify(context: Context) -> Call:
        said = context.session.client_params
        agent_id = default_agent(said.client_info.name if said else None)
        return Call(client=client, agent_id=agent_id, profile=profile, unlisted=hidden)

    return server_for(identify)


def server_for(identify: Identify) -> Server[Any]:
    """A server of any number of clients.

    Args:
      identify: says of each request who makes it, where its calls go and which tools it is shown.
    """
    server: Server[Any] = Server(
        SERVER_NAME, version=__version__, instructions=INSTRUCTIONS, **_tool_handlers(identify), **_prompt_handlers(),
        **_resource_handlers(identify),
    )
    # The SDK's only middleware here reports to OpenTelemetry; nothing of ours listens, and memory texts stay at home.
    server.middleware[:] = [_tools_version_of(identify)]
    return server


def _tools_version_of(identify: Identify) -> ServerMiddleware[Any]:
    """Adds v0.6.3's `toolsVersion` to `tools/list`: no protocol knows it, so the SDK would leave it out."""

    async def add(ctx: Context, call_next: CallNext) -> HandlerResult:
        result = await call_next(ctx)
        if ctx.method == _LIST_TOOLS and isinstance(result, dict):
            return {"toolsVersion": tools_version(identify(ctx).profile), **result}
        return result

    return add


def _tool_handlers(identify: Identify) -> Mapping[str, Any]:
    shown = {profile: [published_tool(tool) for tool in listed(profile)] for profile in McpProfile}

    @_guarded
    async def list_tools(context: Context, _: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=shown[identify(context).profile])

    @_guarded
    async def call_tool(context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        tool = _named(TOOLS, params.name, "tool", types.METHOD_NOT_FOUND)
        try:
            answer = text_content(await tool.run(identify(context), params.arguments or {}))
        except ApprovalRequired as error:
            # What is queued is an answer: a model that takes it for a failure tries again.
            return types.CallToolResult(content=[text_content(queued_text(error))])
        except AimemError as error:
            if error.family is Code.INTERNAL:
                raise
            return types.CallToolResult(content=[text_content(error_text(error))], is_error=True)
        return types.CallToolResult(content=[answer])

    return {"on_list_tools": list_tools, "on_call_tool": call_tool}


def _prompt_handlers() -> Mapping[str, Any]:
    prompts = [published_prompt(prompt) for prompt in PROMPTS.values()]

    @_guarded
    async def list_prompts(_: Context, __: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
        return types.ListPromptsResult(prompts=prompts)

    @_guarded
    async def get_prompt(_: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        prompt = _named(PROMPTS, params.name, "prompt", types.INVALID_PARAMS)
        message = types.PromptMessage(role="user", content=text_content(prompt.write(params.arguments or {})))
        return types.GetPromptResult(description=prompt.description, messages=[message])

    return {"on_list_prompts": list_prompts, "on_get_prompt": get_prompt}


def _resource_handlers(identify: Identify) -> Mapping[str, Any]:
    templates = [published_template(template) for template in TEMPLATES]

    @_guarded
    async def list_page(context: Context, params: types.PaginatedRequestParams | None) -> types.ListResourcesResult:
        cursor = params.cursor if params else None
        return published_memories(await list_resources(identify(context), cursor))

    @_guarded
    async def list_templates(
        _: Context, __: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(resource_templates=templates)

    @_guarded
    async def read(context: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        text = await read_resource(identify(context), params.uri)
        content = types.TextResourceContents(uri=params.uri, mime_type=MIME_TYPE, text=text)
        return types.ReadResourceResult(contents=[content])

    return {
        "on_list_resources": list_page, "on_list_resource_templates": list_templates, "on_read_resource": read,
    }


def _guarded(handler: Callable[[Context, T], Awaitable[R]]) -> Callable[[Context, T], Awaitable[R]]:
    """The door's last line: a refusal becomes a protocol error; what is not for the client's eyes goes to the log."""

    @wraps(handler)
    async def run(context: Context, params: T) -> R:
        try:
            return await handler(context, params)
        except MCPError:
            raise
        except Exception as error:
            if isinstance(error, AimemError) and error.family is not Code.INTERNAL:
                raise _refused(error, context) from None
            log.exception("mcp.request_failed", extra={"method": context.method})
            raise MCPError(types.INTERNAL_ERROR, "internal error") from None

    return run


def _refused(error: AimemError, context: Context) -> MCPError:
    code = types.INTERNAL_ERROR if error.retryable else types.INVALID_PARAMS
    if error.family is Code.NOT_FOUND and context.protocol_version in HANDSHAKE_PROTOCOL_VERSIONS:
        code = NO_SUCH_RESOURCE
    data: dict[str, object] = {"code": error.code} | ({} if error.field is None else {"field": error.field})
    return MCPError(code, error.message, data)


def _named(table: Mapping[str, T], name: str, kind: str, code: int) -> T:
    """What the client named, or a protocol error: with this code if there is no such thing."""
    if not name:
        raise MCPError(types.INVALID_PARAMS, f"the name of a {kind} is required")
    if name not in table:
        raise MCPError(code, f"unknown {kind}: {name[:64]}", {kind: name[:64]})
    return table[name]
