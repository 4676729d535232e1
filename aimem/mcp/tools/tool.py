"""What a tool is, and what its handler is handed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final  # Any: one table holds handlers of different parameter types

import msgspec
from msgspec import Struct

from aimem.config import McpProfile
from aimem.mcp.schema import JsonSchema, decode_arguments, input_schema

if TYPE_CHECKING:
    from aimem.client import Client


_WORDS: Final = {"gc": "collect expired", "kg": "knowledge graph"}


class Call(Struct, frozen=True, kw_only=True):
    """Where a call goes and who makes it.

    Attributes:
      agent_id: the identity that the connection claims; None where its key says whose it is.
      profile: which tools the caller is shown.
      unlisted: names of the tools that the caller is not shown, though they work.
    """

    client: Client
    agent_id: str | None
    profile: McpProfile = McpProfile.FULL
    unlisted: tuple[str, ...] = ()


class Effect(StrEnum):
    """What a tool does to the memory; clients ask their user before some of these."""

    READS = "reads"
    USES = "uses"              # changes no text, but counts an access, prolongs and may promote; once more counts again
    ADDS = "adds"              # makes something new; once more makes it once more
    ENSURES = "ensures"        # makes something that is there afterwards; once more changes nothing
    OVERWRITES = "overwrites"  # may replace or remove what was there; once more changes nothing


class Tool(Struct, frozen=True, kw_only=True):
    """One tool."""

    name: str
    description: str
    params: type[Struct]
    handle: Callable[[Call, Any], Awaitable[str]]
    effect: Effect

    @property
    def title(self) -> str:
        """Its name as people read it."""
        words = [_WORDS.get(word, word) for word in self.name.removeprefix("memory_").split("_")]
        text = " ".join(words)
        return text[0].upper() + text[1:]

    @property
    def schema(self) -> JsonSchema:
        """The JSON Schema of its arguments."""
        return input_schema(self.params)

    async def run(self, call: Call, arguments: Mapping[str, object]) -> str:
        """Check the arguments and make the call; returns the text of the answer.

        Raises: InvalidRequest naming the argument at fault, and what the node answers.
        """
        return await self.handle(call, decode_arguments(self.params, arguments))


def as_json(value: object) -> str:
    """An answer as a client of v0.6.3 reads it: JSON, indented."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
