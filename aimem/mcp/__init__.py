"""MCP: the door for agents. Speaks JSON-RPC on a pair of streams through the official SDK's low-level server.

Owns the tools, their parameters and texts, and the transport. Every tool is one call of the typed client. Must never
decide a rule of the product, know a database, or write anything but the protocol to the wire. Loading this room loads
no SDK; running the server does.
"""

from aimem.mcp.identity import DefaultAgent, anonymous_agent, default_agent
from aimem.mcp.prompts import PROMPTS
from aimem.mcp.server import run_mcp, run_mcp_on_stdio
from aimem.mcp.tools import TOOLS

__all__ = [
    "PROMPTS", "TOOLS", "DefaultAgent", "anonymous_agent", "default_agent", "run_mcp",
    "run_mcp_on_stdio",
]
