"""Tools on entities.

A handler translates parameters to a request of `wire` and the answer to text; it decides nothing.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from aimem.mcp.tools.common import Metadata, Namespace
from aimem.mcp.tools.tool import Call, Effect, Tool, as_json
from aimem.model import rules
from aimem.wire import AliasQuery, EntityRequest


class RegisterParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_entity_register."""

    canonical_name: Annotated[str, Meta(description="The name that it is known by.")]
    namespace: Annotated[str, Meta(description="Where it belongs, like team/project.")]
    aliases: Annotated[
        Annotated[list[str], Meta(max_length=rules.ALIASES_MAX_COUNT)] | None,
        Meta(description="Other names, each in its own spelling."),
    ] = None
    metadata: Metadata | None = None
    agent_id: Annotated[str | None, Meta(description="Author; by default the identity of this connection.")] = None


class ByAliasParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_entity_get_by_alias."""

    alias: Annotated[str, Meta(description="A name, in its own spelling.")]
    namespace: Namespace = None


async def register(call: Call, given: RegisterParams) -> str:
    """memory_entity_register."""
    request = EntityRequest(
        canonical_name=given.canonical_name, namespace=given.namespace, aliases=given.aliases,
        metadata=given.metadata, agent_id=given.agent_id or None,
    )
    return as_json(await call.client.register_entity(request, agent_id=call.agent_id))


async def by_alias(call: Call, given: ByAliasParams) -> str:
    """memory_entity_get_by_alias."""
    query = AliasQuery(alias=given.alias, namespace=given.namespace)
    return as_json(await call.client.entity_by_alias(query, agent_id=call.agent_id))


TOOLS: Final = (
    Tool(
        name="memory_entity_register", params=RegisterParams, handle=register, effect=Effect.ENSURES,
        description="Make an entity (a person, a system, a project) with its other names, or add names to it.",
    ),
    Tool(
        name="memory_entity_get_by_alias", params=ByAliasParams, handle=by_alias, effect=Effect.READS,
        description="Find the entity that a name stands for: one of its aliases, or else its canonical name.",
    ),
)
