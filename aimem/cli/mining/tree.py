"""Conversations that are kept as trees: each edit of a question begins a branch, and one branch is what was said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any  # an export's values, of whatever kind

from msgspec import Struct

from aimem.cli.mining.conversations import Message, joined, moment


class Node(Struct, kw_only=True):
    """A node of an export's `mapping`."""

    parent: str | None = None
    message: dict[str, Any] | None = None


def active_branch(mapping: Mapping[str, Node], current: str | None) -> list[Node]:
    """The nodes from the root to where the conversation stands; without that, to the latest message.

    Nodes that name no parents at all come in the order of their times.
    """
    if not any(node.parent for node in mapping.values()):
        return sorted(mapping.values(), key=_time)
    at = current if current in mapping else max(mapping, key=lambda name: _time(mapping[name]), default=None)
    path: dict[str, Node] = {}
    while at is not None and at in mapping and at not in path:      # a ring of parents ends where it closes
        path[at] = mapping[at]
        at = mapping[at].parent
    return list(reversed(path.values()))


def _time(node: Node) -> int:
    return moment((node.message or {}).get("create_time")) or 0


def message_of(node: Node) -> Message | None:
    """What a node says; None for the system's own and for what has no text."""
    said = node.message or {}
    author, content = said.get("author"), said.get("content")
    role = author.get("role") if isinstance(author, dict) else said.get("role")
    if not isinstance(role, str) or role == "system":
        return None
    inside = content if isinstance(content, dict) else {"text": content}
    text = joined(inside.get("parts")) or joined(inside.get("text"))
    name = said.get("id")
    if not text.strip():
        return None
    return Message(
        role=role, text=text, at=moment(said.get("create_time")), id=name if isinstance(name, str) and name else None)
