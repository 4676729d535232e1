"""Which memories an automatic consolidation puts together, and what it writes of them: pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from aimem.model import Memory, rules
from aimem.store import curation

UNTAGGED: Final = "_untagged"
GROUP_MAX: Final = 100
HEAD_MAX_BYTES: Final = 200
TITLE_MAX_BYTES: Final = 400
"""Of a title on its line: a hundred such lines are within the limit of a memory's text."""


class Group(Struct, frozen=True, kw_only=True):
    """Memories that share a tag (UNTAGGED: that have none), a scope and, if private, the author."""

    tag: str
    members: tuple[curation.Sketch, ...]


def decide_groups(sketches: Sequence[curation.Sketch], min_count: int) -> list[Group]:
    """Divide memories of one namespace into groups, the largest first, ties by tag; none is in two.

    What is meant for different readers is never put together: the strictest would take it from the others.
    """
    audiences: dict[tuple[str | None, str], list[curation.Sketch]] = {}
    for sketch in sketches:
        audiences.setdefault((sketch.scope, sketch.owner), []).append(sketch)
    return [group for audience in audiences.values() for group in _groups_of(audience, min_count)]


def _groups_of(left: list[curation.Sketch], min_count: int) -> list[Group]:
    groups: list[Group] = []
    while True:
        counts = Counter(tag for sketch in left for tag in _tags_of(sketch))
        tag, count = min(counts.items(), key=lambda item: (-item[1], item[0]), default=("", 0))
        if count < min_count:
            return groups
        members = tuple(sketch for sketch in left if tag in _tags_of(sketch))[:GROUP_MAX]
        groups.append(Group(tag=tag, members=members))
        taken = {sketch.id for sketch in members}
        left = [sketch for sketch in left if sketch.id not in taken]


def _tags_of(sketch: curation.Sketch) -> tuple[str, ...]:
    return sketch.tags or (UNTAGGED,)


def title_of(tag: str, namespace: str, count: int) -> str:
    """`Consolidated: ops (3 memories)`."""
    name = (namespace if tag == UNTAGGED else tag)[: rules.TITLE_MAX_CHARS - 64]
    return f"Consolidated: {name} ({count} memories)"


def digest_of(sources: Sequence[Memory]) -> str:
    """A line for each memory: its title and the first 200 bytes of its text, cut between characters."""
    return "\n".join(_line(memory) for memory in sources)


def _line(memory: Memory) -> str:
    text = _cut(memory.content, HEAD_MAX_BYTES)
    # A generated title is the beginning of the text.
    return f"- {text}" if memory.title_generated else f"- {_cut(memory.title, TITLE_MAX_BYTES)}: {text}"


def _cut(text: str, max_bytes: int) -> str:
    line = " ".join(text.split())
    head = line.encode()[:max_bytes].decode(errors="ignore")
    return head if head == line else f"{head} ..."
