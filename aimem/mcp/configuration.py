"""The text that a person pastes into the configuration of an MCP client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

SERVER_NAME = "ai-memory"


def print_config(command: str, args: Sequence[str], env: Mapping[str, str]) -> str:
    """The entry for this server in the form that MCP clients share (`mcpServers`).

    Args:
      command: absolute path of the executable; a client starts it in a folder of its own.
      args: its arguments, in order.
      env: variables to set; left out if there are none.
    Returns: pretty-printed JSON with a line feed at the end.
    """
    entry: dict[str, object] = {"command": command, "args": list(args)}
    if env:
        entry["env"] = dict(env)
    document = {"mcpServers": {SERVER_NAME: entry}}
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
