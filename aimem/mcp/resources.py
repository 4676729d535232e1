"""Memories as resources: what a person picks in a client to hand to a model.

`memory://ID` is one memory as Markdown, `memory://namespace/NAMESPACE` the memories of a namespace as a list of links.
Ids and namespaces are percent-encoded; a slash in an id is %2F, so the two forms cannot be mistaken for each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

import msgspec
from msgspec import Struct

from aimem.errors import InvalidRequest
from aimem.mcp.tools import Call
from aimem.wire import ListQuery, MemoryPage, MemoryWithLinks

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEME: Final = "memory://"
MIME_TYPE: Final = "text/markdown"
PAGE_COUNT: Final = 50
NAMESPACE_COUNT: Final = 200
"""Memories that a namespace's list holds at most; it says so where there are more."""

_IN_NAMESPACE: Final = "namespace/"


class Template(Struct, frozen=True, kw_only=True):
    """A family of resources."""

    uri: str
    name: str
    description: str


TEMPLATES: Final = (
    Template(uri="memory://{id}", name="memory", description="One memory with its links, by its whole id."),
    Template(
        uri="memory://namespace/{+namespace}", name="namespace",
        description=f"The memories of a namespace, the most important first, at most {NAMESPACE_COUNT}.",
    ),
)


def uri_of(memory_id: str) -> str:
    """The resource of a memory."""
    return SCHEME + quote(memory_id, safe="")


async def list_resources(call: Call, cursor: str | None) -> MemoryPage:
    """A page of what the caller may see, the most important and then the latest first."""
    return await call.client.list_memories(ListQuery(limit=PAGE_COUNT, cursor=cursor), agent_id=call.agent_id)


async def read_resource(call: Call, uri: str) -> str:
    """The Markdown of a resource.

    Raises: NotFound if there is no such resource; InvalidRequest if the URI is none of these.
    """
    scheme, separator, rest = uri.partition("://")
    if scheme.lower() + separator != SCHEME or not rest:
        raise InvalidRequest("the URI is not memory://ID or memory://namespace/NAMESPACE", field="uri")
    if rest.startswith(_IN_NAMESPACE):
        return await _namespace(call, _decoded(rest.removeprefix(_IN_NAMESPACE)))
    # Some clients read what stands here as a host and put a slash behind it.
    memory_id = _decoded(rest.removesuffix("/"))
    return _memory(await call.client.get(memory_id, agent_id=call.agent_id))


async def _namespace(call: Call, namespace: str) -> str:
    page = await call.client.list_memories(
        ListQuery(namespace=namespace, limit=NAMESPACE_COUNT), agent_id=call.agent_id
    )
    lines = [f"# {_line(namespace)}", ""]
    lines += [f"- [{_line(memory.title)}]({uri_of(memory.id)})" for memory in page.memories]
    if page.next_cursor:
        lines += ["", f"There are more; these are the first {len(page.memories)}."]
    return "\n".join(lines) + "\n"


def _memory(memory: MemoryWithLinks) -> str:
    return "\n".join(["---", *_head(memory), "---", f"# {_line(memory.title)}", "", memory.content]) + "\n"


def _head(memory: MemoryWithLinks) -> Iterator[str]:
    """Facts as `name: value`, each value in JSON, which is YAML as well."""
    facts: dict[str, object] = {
        "id": memory.id, "namespace": memory.namespace, "tier": memory.tier, "priority": memory.priority,
        "confidence": memory.confidence, "tags": memory.tags, "author": memory.metadata.get("agent_id"),
        "created_at": memory.created_at, "updated_at": memory.updated_at, "expires_at": memory.expires_at,
        "links": [f"{link.source_id} {link.relation} {link.target_id}" for link in memory.links],
    }
    for name, value in facts.items():
        if value is not None and value is not msgspec.UNSET:
            yield f"{name}: {msgspec.json.encode(value).decode()}"


def _line(text: str) -> str:
    return " ".join(text.split())


def _decoded(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise InvalidRequest("the URI is not UTF-8 after percent-decoding", field="uri") from None
