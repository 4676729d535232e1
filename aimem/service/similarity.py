"""How alike texts are by their words, and which memories an automatic pass puts together for it: pure."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct

from aimem.model import Memory, MemoryId, Scope

ALIKE: Final = 0.55
"""From this share of common words on (Jaccard) two texts are about the same; of v0.6.3."""

CLUSTER_MAX: Final = 8
LETTERS_MIN: Final = 3
_WORD: Final = re.compile(r"\w+")


class Duplicates(Struct, frozen=True, kw_only=True):
    """The newest of memories that say the same, and those whose every word it has."""

    kept: MemoryId
    others: tuple[MemoryId, ...]


class Words(Struct, frozen=True):
    """The words of a memory: those by which it is compared, all that it says, its title included, and its text."""

    telling: frozenset[str]
    all: frozenset[str]
    text: tuple[str, ...]


def words_of(memory: Memory) -> Words:
    """Words in one case. A generated title says nothing of its own."""
    content = _WORD.findall(memory.content.casefold())
    title = [] if memory.title_generated else _WORD.findall(memory.title.casefold())
    telling = frozenset(word for word in content if len(word) >= LETTERS_MIN)
    return Words(telling, frozenset([*content, *title]), tuple(content))


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """The share of the words of both that they have in common; 0 for nothing."""
    common = len(one & other)
    return common / (len(one) + len(other) - common) if common else 0.0


def decide_duplicates(rows: Sequence[Memory]) -> list[Duplicates]:
    """Memories that lose nothing if only the newest of them stays: alike, and every word of theirs is in the newest.

    Of two authors only the same text is a duplicate: who adds a "not" may not have another's word put away for it.
    Deciding again without those that go finds nothing more. Each part has at most 8 members, the kept one included.
    """
    found: list[Duplicates] = []
    for audience in _audiences(rows):
        known = {row.id: words_of(row) for row in audience}
        gone: set[MemoryId] = set()
        for kept, within in _contained(audience, known):
            if kept.id in gone:
                continue
            others = [row.id for row in within if row.id not in gone]
            gone.update(others)
            found += [
                Duplicates(kept=kept.id, others=tuple(others[at : at + CLUSTER_MAX - 1]))
                for at in range(0, len(others), CLUSTER_MAX - 1)
            ]
    return found


def decide_clusters(rows: Sequence[Memory]) -> list[tuple[MemoryId, ...]]:
    """Groups of 2 to 8 memories that are like the newest of their group, which comes first; none is in two."""
    found: list[tuple[MemoryId, ...]] = []
    for audience in _audiences(rows):
        known = {row.id: words_of(row) for row in audience}
        taken: set[MemoryId] = set()
        for leader, alike in _alike(audience, known):
            if leader.id in taken:
                continue
            members = (leader.id, *[row.id for row in alike if row.id not in taken][: CLUSTER_MAX - 1])
            if len(members) > 1:
                taken.update(members)
                found.append(members)
    return found


def _audiences(rows: Iterable[Memory]) -> Iterator[list[Memory]]:
    """Memories that the same readers see, the newest first: nothing is put together across that border."""
    groups: defaultdict[tuple[str, str | None, str], list[Memory]] = defaultdict(list)
    for row in rows:
        groups[row.namespace, row.scope, row.author if row.scope is Scope.PRIVATE else ""].append(row)
    for group in groups.values():
        yield sorted(group, key=lambda row: (row.updated_at, row.created_at, row.id), reverse=True)


def _contained(rows: Sequence[Memory], known: Mapping[MemoryId, Words]) -> Iterator[tuple[Memory, list[Memory]]]:
    """Each memory with the older ones that it contains and is like; looked up by the rarest word of each of these."""
    rarest = _by_rarest(rows, known, lambda count: 1)
    by_word = _places(rarest)
    for place, row in enumerate(rows):
        mine = known[row.id]
        near = sorted(other for word in mine.telling for other in by_word.get(word, ()) if other > place)
        yield row, [
            rows[other] for other in near
            if (its := known[rows[other].id]).all <= mine.all and len(its.telling) >= ALIKE * len(mine.telling)
            and (rows[other].author == row.author or its.text == mine.text)
        ]


def _alike(rows: Sequence[Memory], known: Mapping[MemoryId, Words]) -> Iterator[tuple[Memory, list[Memory]]]:
    """Each memory with the older ones that are like it.

    Two sets that share so much share one of their rarest words: each is looked up by these alone (Bayardo, Ma and
    Srikant, WWW 2007).
    """
    rarest = _by_rarest(rows, known, lambda count: count - math.ceil(ALIKE * count) + 1)
    by_word = _places(rarest)
    for place, row in enumerate(rows):
        mine = known[row.id].telling
        near = sorted({other for word in rarest[place] for other in by_word[word] if other > place})
        yield row, [rows[other] for other in near if jaccard(mine, known[rows[other].id].telling) >= ALIKE]


def _by_rarest(
    rows: Sequence[Memory], known: Mapping[MemoryId, Words], how_many: Callable[[int], int]
) -> list[list[str]]:
    """Of each memory its rarest words, as many as a function of their count says."""
    counts = Counter(word for row in rows for word in known[row.id].telling)
    ordered = [sorted(known[row.id].telling, key=lambda word: (counts[word], word)) for row in rows]
    return [words[: how_many(len(words))] for words in ordered]


def _places(words: Sequence[Sequence[str]]) -> Mapping[str, Sequence[int]]:
    """Word -> the places of those that have it."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for place, those in enumerate(words):
        for word in those:
            found[word].append(place)
    return found
