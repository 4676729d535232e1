"""What callers were told, and what must therefore be so on every node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass
class Row:
    """A memory whose store was acknowledged.

    Attributes:
      text: as it was acknowledged last.
      doubtful: texts of changes of which nobody knows; each may be there, also after later ones.
      is_gone: whether its deletion was acknowledged.
      is_retired: whether nobody knows that of its deletion, so that it may be there or not.
    """

    text: str
    doubtful: set[str] = field(default_factory=set)
    is_gone: bool = False
    is_retired: bool = False

    def may_be(self, text: str) -> bool:
        """Whether it may read so."""
        return text == self.text or text in self.doubtful


@dataclass
class Book:
    """All of it, by the ids of memories.

    Attributes:
      maybe: texts of stores of which nobody knows: each may be there, once.
      refused: texts of stores and changes that were answered as not applied: none of them is anywhere.
      surprises: answers that no fault explains.
      acked, refusals, unknown: how many acts ended so.
      answers: how often each answer came, by status or code; an act may have several.
    """

    rows: dict[str, Row] = field(default_factory=dict)
    maybe: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    surprises: list[str] = field(default_factory=list)
    acked: int = 0
    refusals: int = 0
    unknown: int = 0
    answers: Counter[str] = field(default_factory=Counter)

    def faults(self, shown: Mapping[str, str]) -> Iterator[str]:
        """Where the memories that a node shows, texts by ids, are not what was promised."""
        yield from self._lost(shown)
        for memory_id, text in shown.items():
            row = self.rows.get(memory_id)
            if text in self.refused:
                yield f"{memory_id} is {text!r}, which was refused as not applied"
            elif row is None and text not in self.maybe:
                yield f"{memory_id} is {text!r}, of which nobody was told"
            elif row is not None and not row.may_be(text):
                yield f"{memory_id} is {text!r}, not as {row}"
        for text, count in Counter(shown.values()).items():
            if count > 1:
                yield f"{text!r} is there {count} times"

    def _lost(self, shown: Mapping[str, str]) -> Iterator[str]:
        for memory_id, row in self.rows.items():
            if row.is_gone and memory_id in shown:
                yield f"{memory_id} ({row.text}) was deleted and is there"
            elif not (row.is_gone or row.is_retired or memory_id in shown):
                yield f"{memory_id} ({row.text}) is lost"
