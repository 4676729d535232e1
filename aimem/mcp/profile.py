"""Which tools a client is shown, and the version of that list.

A model reads every listed tool before its first word, so the list of each day is short; a tool outside it works all the
same when called by name.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from typing import Final

import msgspec

from aimem import __version__
from aimem.config import McpProfile
from aimem.mcp.tools import TOOLS, Tool

CORE: Final = (
    "memory_store", "memory_recall", "memory_search", "memory_list", "memory_get", "memory_update", "memory_delete",
    "memory_capabilities",
)
"""Keep, find in three ways, read, correct, remove, and where to learn of the others."""


def listed(profile: McpProfile) -> tuple[Tool, ...]:
    """The tools that a profile shows, in the order of the table."""
    return tuple(tool for tool in TOOLS.values() if profile is McpProfile.FULL or tool.name in CORE)


def unlisted(profile: McpProfile) -> tuple[str, ...]:
    """The names of those that it does not show."""
    shown = {tool.name for tool in listed(profile)}
    return tuple(name for name in TOOLS if name not in shown)


@cache
def tools_version(profile: McpProfile) -> str:
    """Changes exactly when the list does: the version of the program, and a digest of what is listed."""
    content = [(tool.name, tool.description, tool.schema, tool.effect.value) for tool in listed(profile)]
    return f"{__version__}-{sha256(msgspec.json.encode(content, order='sorted')).hexdigest()[:12]}"
