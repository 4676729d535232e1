"""Running the server. The SDK costs most of a second to load, so it is loaded only here, when a client waits for it."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import trio

from aimem.client import Client
from aimem.config import McpProfile
from aimem.mcp.identity import DefaultAgent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def run_mcp(
    client: Client,
    *,
    default_agent: DefaultAgent,
    stdin: trio.abc.ReceiveStream,
    stdout: trio.abc.SendStream,
    stop: trio.Event | None = None,
    profile: McpProfile = McpProfile.FULL,
) -> None:
    """Serve one MCP client on a pair of streams until its input ends, it is gone, or `stop` is set.

    Args:
      client: the way to the node.
      default_agent: the identity of a call that names none, from the client's name.
      stdin: the client's messages, one a line.
      stdout: ours, one a line.
      stop: set to end early; requests that were accepted are answered first, within a bound.
      profile: which tools the client is shown.
    """
    from aimem.mcp.protocol import make_server
    from aimem.mcp.stdio import serve_streams

    stop = trio.Event() if stop is None else stop
    await serve_streams(make_server(client, default_agent, profile), stdin, stdout, stop=stop)


async def run_mcp_on_stdio(
    client: Client, *, default_agent: DefaultAgent, profile: McpProfile = McpProfile.FULL
) -> None:
    """Serve the MCP client at this process's stdin and stdout until it closes them, or SIGTERM or SIGINT arrives."""
    from aimem.mcp.stdio import open_stdio

    stop = trio.Event()
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with open_stdio() as (stdin, stdout), trio.open_nursery() as nursery:
            nursery.start_soon(_stop_at_signal, signals, stop)
            await run_mcp(
                client, default_agent=default_agent, stdin=stdin, stdout=stdout, stop=stop, profile=profile
            )
            nursery.cancel_scope.cancel()


async def _stop_at_signal(signals: AsyncIterator[int], stop: trio.Event) -> None:
    async for _ in signals:
        stop.set()
        return
