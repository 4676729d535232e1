"""The table of tools: name, description, parameters, handler, and what a client may expect of its effect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Any, Final  # Any: one table holds handlers of different parameter types

from msgspec import Struct

from aimem.mcp import handlers as do
from aimem.mcp import params as p
from aimem.mcp.handlers import Call
from aimem.mcp.schema import JsonSchema, decode_arguments, input_schema


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
    def schema(self) -> JsonSchema:
        """The JSON Schema of its arguments."""
        return input_schema(self.params)

    async def run(self, call: Call, arguments: Mapping[str, object]) -> str:
        """Check the arguments and make the call; returns the text of the answer.

        Raises: InvalidRequest naming the argument at fault, and what the node answers.
        """
        return await self.handle(call, decode_arguments(self.params, arguments))


_TABLE: Final = (
    Tool(
        name="memory_store", params=p.StoreParams, handle=do.store, effect=Effect.OVERWRITES,
        description="Keep a text for later conversations. The same title in the same namespace updates what is there.",
    ),
    Tool(
        name="memory_recall", params=p.RecallParams, handle=do.recall, effect=Effect.USES,
        description="Find memories by meaning, best first. What is recalled lives longer, and the fifth recall makes a "
        "mid-tier memory long-lived.",
    ),
    Tool(
        name="memory_search", params=p.SearchParams, handle=do.search, effect=Effect.READS,
        description="Find memories in which all the given words occur, in any order; there are no operators.",
    ),
    Tool(
        name="memory_list", params=p.ListParams, handle=do.list_memories, effect=Effect.READS,
        description="List memories by namespace, tier or author, a page at a time.",
    ),
    Tool(
        name="memory_get", params=p.GetParams, handle=do.get, effect=Effect.READS,
        description="Read one memory in full, with its links.",
    ),
    Tool(
        name="memory_update", params=p.UpdateParams, handle=do.update, effect=Effect.OVERWRITES,
        description="Change a memory: only what is given changes; its author stays.",
    ),
    Tool(
        name="memory_delete", params=p.DeleteParams, handle=do.delete, effect=Effect.OVERWRITES,
        description="Remove a memory for ever. It does not go to the archive and its id never returns.",
    ),
    Tool(
        name="memory_promote", params=p.PromoteParams, handle=do.promote, effect=Effect.ADDS,
        description="Make a memory long-lived (the whole id is needed), or copy it up into an ancestor namespace.",
    ),
    Tool(
        name="memory_link", params=p.LinkParams, handle=do.link, effect=Effect.ENSURES,
        description="State how one memory relates to another.",
    ),
    Tool(
        name="memory_get_links", params=p.GetLinksParams, handle=do.get_links, effect=Effect.READS,
        description="The links of a memory, in both directions.",
    ),
    Tool(
        name="memory_stats", params=p.NoParams, handle=do.stats, effect=Effect.READS,
        description="How many memories there are, by tier and namespace, and how large the database is.",
    ),
    Tool(
        name="memory_gc", params=p.GcParams, handle=do.collect, effect=Effect.OVERWRITES,
        description="Take expired memories away now instead of at the next round; dry_run only counts them.",
    ),
    Tool(
        name="memory_archive_list", params=p.ArchiveListParams, handle=do.archive_list, effect=Effect.READS,
        description="List archived memories, the newest first.",
    ),
    Tool(
        name="memory_archive_restore", params=p.ArchiveRestoreParams, handle=do.archive_restore, effect=Effect.ENSURES,
        description="Bring an archived memory back.",
    ),
    Tool(
        name="memory_archive_stats", params=p.NoParams, handle=do.archive_stats, effect=Effect.READS,
        description="How many memories are archived, by namespace.",
    ),
    Tool(
        name="memory_capabilities", params=p.NoParams, handle=do.capabilities, effect=Effect.READS,
        description="What this memory can do right now: semantic recall, model, limits. Ask once.",
    ),
)

TOOLS: Final[Mapping[str, Tool]] = {tool.name: tool for tool in _TABLE}
