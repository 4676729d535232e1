"""How alike texts are by their words, and which memories an automatic pass puts together for it: pure."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from msgspec import Struct

from aimem.model import Memory, MemoryId, Scope

ALIKE: Final = 0.55
"""From this share of common words on (Jaccard) two texts are about the same; of v0.6.3."""

CLUSTER_MAX: Final = 8
LETTERS_MIN: Final = 3
VAIN_MAX_WORDS: Final = 20_000
"""So many words of others a memory is compared with in vain, at most: 400 short texts, or 20 long ones.

Without it two thousand long texts that share their rarest word, as templates do, would keep a thread busy for minutes.
"""

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
        for kept, near in _sharing_rarest(audience, known):
            if kept.id in gone:
                continue
            others = _contained(kept, (row for row in near if row.id not in gone), known)
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
        for leader, alike in _sharing_rare(audience, known):
            if leader.id in taken:
                continue
            near = (row for row in alike if row.id not in taken)
            members = (leader.id, *islice(_alike(leader, near, known), CLUSTER_MAX - 1))
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


def _sharing_rarest(
    rows: Sequence[Memory], known: Mapping[MemoryId, Words]
) -> Iterator[tuple[Memory, Iterator[Memory]]]:
    """Each memory with the older ones that it may contain: it has the rarest word of each of these."""
    by_word = _places(_by_rarest(rows, known, lambda count: 1))
    for place, row in enumerate(rows):
        near = sorted(other for word in known[row.id].telling for other in by_word.get(word, ()) if other > place)
        yield row, (rows[other] for other in near)


def _contained(mine: Memory, others: Iterable[Memory], known: Mapping[MemoryId, Words]) -> list[MemoryId]:
    """Those of the others that a memory contains and is like, as far as the bound on vain work lets it look."""
    words, found, vain = known[mine.id], [], 0
    for row in others:
        its = known[row.id]
        if len(its.telling) < ALIKE * len(words.telling) or len(its.all) > len(words.all):
            continue
        if its.all <= words.all and (row.author == mine.author or its.text == words.text):
            found.append(row.id)
        elif (vain := vain + len(its.all)) > VAIN_MAX_WORDS:
            break
    return found


def _sharing_rare(
    rows: Sequence[Memory], known: Mapping[MemoryId, Words]
) -> Iterator[tuple[Memory, Iterator[Memory]]]:
    """Each memory with the older ones that may be like it.

    Two sets that share so much share one of their rarest words: each is looked up by these alone (Bayardo, Ma and
    Srikant, WWW 2007), the rarest first, and by no further ones once so many share them.
    """
    rarest = _by_rarest(rows, known, lambda count: count - math.ceil(ALIKE * count) + 1)
    by_word = _places(rarest)
    for place, row in enumerate(rows):
        near: set[int] = set()
        looked = 0
        for word in rarest[place]:
            near.update(other for other in by_word[word] if other > place)
            looked += len(by_word[word])
            if looked > VAIN_MAX_WORDS:
                break
        yield row, (rows[other] for other in sorted(near))


def _alike(mine: Memory, others: Iterable[Memory], known: Mapping[MemoryId, Words]) -> Iterator[MemoryId]:
    """Those of the others that a memory is like, as far as the bound on vain work lets it look."""
    words, vain = known[mine.id].telling, 0
    for row in others:
        its = known[row.id].telling
        if jaccard(words, its) >= ALIKE:
            yield row.id
        elif (vain := vain + len(its)) > VAIN_MAX_WORDS:
            return


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
