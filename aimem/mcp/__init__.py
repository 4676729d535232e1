"""MCP: the door for agents. Speaks JSON-RPC on a pair of streams, and over HTTP, through the official SDK's server.

Owns the tools, their parameters and texts, the resources, and both transports. Every tool is one call of the typed
client. Must never decide a rule of the product, know a database, or write anything but the protocol to the wire.
Loading this room loads no SDK; running the server does.
"""

from aimem.mcp.asked import Entrance
from aimem.mcp.http import McpApp
from aimem.mcp.identity import (
    DefaultAgent,
    anonymous_agent,
    anonymous_http_agent,
    default_agent,
    http_agent,
    proven_agent,
)
from aimem.mcp.profile import CORE
from aimem.mcp.prompts import PROMPTS
from aimem.mcp.server import run_mcp, run_mcp_on_stdio
from aimem.mcp.tools import TOOLS

__all__ = [
    "CORE", "PROMPTS", "TOOLS", "DefaultAgent", "Entrance", "McpApp", "anonymous_agent", "anonymous_http_agent",
    "default_agent", "http_agent", "proven_agent", "run_mcp", "run_mcp_on_stdio",
]
