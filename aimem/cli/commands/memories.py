"""Verbs on one memory: store, update, get, delete, promote, link."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from aimem.cli.context import Context
from aimem.cli.exits import ExitStatus
from aimem.cli.namespace import project_namespace
from aimem.cli.parser import UsageError
from aimem.cli.text import counted
from aimem.cli.values import comma_list
from aimem.errors import InvalidRequest, NotFound
from aimem.model import rules
from aimem.wire import CreateMemory, LinkRequest, MemoryOut, MemoryWithLinks, Stored, UpdateMemory, to_builtins

if TYPE_CHECKING:
    from aimem.client import Client


def store(context: Context) -> int:
    """Remember a text."""
    value = context.value
    if value("expires_at") is not None and value("ttl_secs") is not None:
        raise UsageError("--expires-at excludes --ttl-secs; give one of them")
    request = CreateMemory(
        title=value("title"), content=content_of(context), tier=value("tier"),
        namespace=value("namespace") or project_namespace(context.around.cwd), tags=comma_list(value("tags")) or [],
        priority=value("priority"), confidence=value("confidence"), source=value("source"),
        expires_at=value("expires_at"), ttl_secs=value("ttl_secs"), scope=value("scope"))

    async def act(client: Client) -> tuple[Stored, MemoryOut | None]:
        stored = await client.remember(request)
        try:
            # v0.6.3 prints the whole memory; the answer to a store names only what identifies it.
            found = await client.get(stored.id) if context.wants_json else None
        except NotFound:
            found = None  # deleted by somebody else since
        return stored, found.memory if found else None

    stored, memory = context.ask(act)
    similar = () if stored.potential_contradictions is UNSET else stored.potential_contradictions
    if context.wants_json:
        context.screen.json({**(to_builtins(memory) if memory else {}), **to_builtins(stored)})
    else:
        is_new = stored.action == "created"
        word, whose = ("stored", "") if is_new else ("updated", f", author {stored.agent_id}")
        context.screen.line(f"{word}: {stored.id} [{stored.tier}] (ns={stored.namespace}{whose})")
    if similar:
        what = "1 memory with a similar title" if len(similar) == 1 else f"{len(similar)} memories with similar titles"
        context.screen.say(f"note: {what} in {stored.namespace}: {', '.join(similar)}")
    return ExitStatus.OK


def update(context: Context) -> int:
    """Change a memory."""
    value = context.value
    request = UpdateMemory(
        title=value("title"), content=content_of(context), tier=value("tier"), namespace=value("namespace"),
        tags=comma_list(value("tags")), priority=value("priority"), confidence=value("confidence"),
        expires_at=value("expires_at"))
    if request == UpdateMemory():
        raise UsageError("update needs something to change; see `ai-memory update --help`")
    memory = context.ask(lambda client: client.update(value("id"), request))
    if context.wants_json:
        context.screen.json(memory)
    else:
        context.screen.line(f"updated: {memory.id} [{memory.title}]")
    if request.tier not in (None, memory.tier):
        context.screen.say(f"note: the tier stays {memory.tier}; it never goes down")
    return ExitStatus.OK


def get(context: Context) -> int:
    """Show a memory and its links."""
    found = context.ask(lambda client: client.get(context.value("id")))
    if context.wants_json:
        context.screen.json({"memory": found.memory, "links": found.links})
    else:
        _show(context, found)
    return ExitStatus.OK


def _show(context: Context, found: MemoryWithLinks) -> None:
    memory = found.memory
    fields = {
        "id": memory.id, "title": memory.title, "namespace": memory.namespace, "tier": memory.tier,
        "tags": ", ".join(memory.tags), "priority": memory.priority, "confidence": memory.confidence,
        "source": memory.source, "author": memory.metadata.get("agent_id", ""),
        "edited by": memory.metadata.get("edited_by", ""), "created": memory.created_at,
        "updated": memory.updated_at, "expires": "never" if memory.expires_at is UNSET else memory.expires_at,
        "used": counted(memory.access_count, "time"),
    }
    for name, value in fields.items():
        if name != "edited by" or value:
            context.screen.line(f"{name + ':':<12}{value}".rstrip())
    context.screen.line()
    context.screen.line(memory.content)
    if found.links:
        context.screen.line()
    for link in found.links:
        context.screen.line(f"{link.source_id} --[{link.relation}]--> {link.target_id}")


def delete(context: Context) -> int:
    """Delete a memory for ever."""
    memory_id = context.value("id")
    answer = context.ask(lambda client: client.delete(memory_id))
    deleted_id = memory_id if answer.id is UNSET else answer.id
    if context.wants_json:
        context.screen.json({**to_builtins(answer), "id": deleted_id})
    else:
        context.screen.line(f"deleted: {deleted_id}")
    if answer.warning is not UNSET:
        context.screen.say(f"warning: {answer.warning}")
    return ExitStatus.OK


def promote(context: Context) -> int:
    """Make a memory long-lived, or clone it into an ancestor namespace."""
    answer = context.ask(lambda client: client.promote(context.value("id"), context.value("to_namespace")))
    if context.wants_json:
        context.screen.json(answer)
    elif answer.clone_id is not UNSET:
        context.screen.line(f"copied: {answer.source_id} to {answer.clone_id} (ns={answer.to_namespace})")
    else:
        context.screen.line(f"promoted: {answer.id} [{answer.tier}]")
    return ExitStatus.OK


def link(context: Context) -> int:
    """State a relation of two memories."""
    request = LinkRequest(
        source_id=context.value("source"), target_id=context.value("target"), relation=context.value("relation"))
    answer = context.ask(lambda client: client.link(request))
    if context.wants_json:
        context.screen.json(answer)
    else:
        context.screen.line(f"linked: {answer.source_id} --[{answer.relation}]--> {answer.target_id}")
    return ExitStatus.OK


def unlink(context: Context) -> int:
    """Take a relation back. One that does not stand is not found."""
    source, target, relation = (context.value(name) for name in ("source", "target", "relation"))
    request = LinkRequest(source_id=source, target_id=target, relation=relation)
    answer = context.ask(lambda client: client.unlink(request))
    if not answer.deleted:
        raise NotFound(f"not found: no link {source} --[{relation}]--> {target}; `get` shows those there are")
    if context.wants_json:
        context.screen.json(answer)
    else:
        context.screen.line(f"unlinked: {source} --[{relation}]--> {target}")
    return ExitStatus.OK


def content_of(context: Context) -> str:
    """The text of --content; `-` is standard input, read no further than a memory can hold."""
    given: str = context.value("content")
    if given != "-":
        return given
    data = context.around.stdin.read(rules.CONTENT_MAX_BYTES + 1)
    if len(data) > rules.CONTENT_MAX_BYTES:
        raise InvalidRequest(
            f"standard input has more than {rules.CONTENT_MAX_BYTES} bytes, the most a memory holds", field="content")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"standard input is not UTF-8 (byte {error.start})", field="content") from None
