"""What agents were told, and what must therefore be so on every node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Fate(StrEnum):
    LIVE = "live"
    ARCHIVED = "archived"
    GONE = "gone"


@dataclass(kw_only=True)
class Row:
    """A memory as its author was told that it is.

    Attributes:
      is_settled: whether every attempt at every act on it is known to have been carried out or not. One that may still
        lie with a stopped node may come late: such a row is acted on no more, save by a delete, which beats all.
    """

    memory_id: str
    title: str
    content: str
    tier: str = "mid"
    fate: Fate = Fate.LIVE
    is_settled: bool = True


@dataclass(kw_only=True)
class Question:
    """An action that waits for approval: what it would store, how the judge voted, and what the judge was told."""

    title: str
    version: str
    vote: str = ""
    told: str = ""


@dataclass
class Ledger:
    """All of it.

    Attributes:
      unknown: ids of which nobody knows what became of the last act on them, save that a delete may have come.
      surprises: answers that no fault explains.
      answers: how often each answer came, by act and status or code.
    """

    rows: dict[str, Row] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    links: dict[tuple[str, str, str], bool] = field(default_factory=dict)
    policies: dict[str, str] = field(default_factory=dict)
    questions: dict[str, Question] = field(default_factory=dict)
    subscriptions: dict[str, bool] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    registered: dict[str, list[str]] = field(default_factory=dict)
    surprises: list[str] = field(default_factory=list)
    answers: Counter[tuple[str, str]] = field(default_factory=Counter)

    def report(self) -> str:
        """A table: act, and how often which answer came."""
        lines = []
        for act in sorted({act for act, _ in self.answers}):
            words = sorted((word, count) for (name, word), count in self.answers.items() if name == act)
            lines.append(f"{act:<12}" + ", ".join(f"{word}: {count}" for word, count in words))
        return "\n".join(lines)

    def faults(self, node: str, shown: Shown) -> Iterator[str]:
        """Where a node shows something else than was promised."""
        yield from self._of_rows(node, shown)
        for ends, stands in self.links.items():
            is_whole = all(self._is_sure(end, Fate.LIVE) for end in ends[:2])
            if is_whole and (ends in shown.links) != stands:
                yield f"{node}: the link {ends} should {'stand' if stands else 'be gone'}"
        for namespace, level in self.policies.items():
            if shown.policies.get(namespace) != level:
                yield f"{node}: the policy of {namespace} is {shown.policies.get(namespace)}, not {level}"
        for subscription, stands in self.subscriptions.items():
            if (subscription in shown.subscriptions) != stands:
                yield f"{node}: the subscription {subscription} should {'stand' if stands else 'be gone'}"
        for agent, capabilities in self.registered.items():
            if shown.agents.get(agent) != capabilities:
                yield f"{node}: {agent} is registered with {shown.agents.get(agent)}, not {capabilities}"
        for message in self.messages.keys() - shown.messages:
            yield f"{node}: the message {message} is lost"
        yield from self._of_questions(node, shown)

    def _is_sure(self, memory_id: str, fate: Fate) -> bool:
        row = self.rows[memory_id]
        return row.fate is fate and row.is_settled and memory_id not in self.unknown

    def _of_rows(self, node: str, shown: Shown) -> Iterator[str]:
        for row in self.rows.values():
            if row.fate is Fate.GONE:
                if row.memory_id in shown.live or row.memory_id in shown.archived:
                    yield f"{node}: {row.title} was deleted and is there"
                continue
            if row.memory_id in self.unknown:
                continue
            found = shown.live.get(row.memory_id), shown.archived.get(row.memory_id)
            if found == (None, None):
                yield f"{node}: {row.title} is lost"
            elif row.is_settled:
                memory = found[row.fate is Fate.ARCHIVED]
                if memory is None:
                    yield f"{node}: {row.title} is not {row.fate}"
                elif (memory["content"], memory["tier"]) != (row.content, row.tier):
                    yield f"{node}: {row.title} is {memory['content']!r}, {memory['tier']}, not as {row}"

    def _of_questions(self, node: str, shown: Shown) -> Iterator[str]:
        for pending_id, question in self.questions.items():
            status = shown.pending.get(pending_id)
            made = shown.titles[question.title]
            if status is None:
                yield f"{node}: the action {pending_id} is lost"
            elif made != (status == "approved"):
                yield f"{node}: {question.title} is {status} and was stored {made} times"
            elif question.vote and status != question.vote:
                yield f"{node}: {question.title} is {status}; the vote was {question.vote}, and told {question.told}"


@dataclass(kw_only=True)
class Shown:
    """What a node shows to an operator, and its inboxes to their owners."""

    live: Mapping[str, Mapping[str, Any]]
    archived: Mapping[str, Mapping[str, Any]]
    links: frozenset[tuple[str, str, str]]
    policies: Mapping[str, str]
    agents: Mapping[str, list[str]]
    pending: Mapping[str, str]
    subscriptions: frozenset[str]
    messages: frozenset[str]
    digest: str
    titles: Counter[str]
