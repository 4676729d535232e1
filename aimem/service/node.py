"""What every service is handed: the node, and the bounds it works within."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import trio
from msgspec import Struct

from aimem.config import ScoringConfig
from aimem.language import LanguageModel, ModelState
from aimem.model import DAY_S, Instant, Lifetimes, MemoryId, Principal
from aimem.ports import Chance, Clock, Threads
from aimem.replication import Mesh, Trust
from aimem.search import Recaller
from aimem.service.awaited import EmbeddingWork
from aimem.service.happenings import Happenings
from aimem.service.keyring import HeldKeyring
from aimem.service.limits import Limiter
from aimem.service.membership import Membership
from aimem.service.papers import Papers
from aimem.service.post import Post
from aimem.service.refusals import Refusals
from aimem.service.samples import Sample
from aimem.service.tidiness import Tidiness
from aimem.store import Store

TOUCHES_QUEUED = 256
HOOKS_QUEUED = 256
IDEMPOTENCY_KEPT_DAYS = 7


class Policy(Struct, frozen=True, kw_only=True):
    """Settings that services obey; see ai-memory-config(5).

    Attributes:
      archive_max_days: archived memories older than this are purged; None keeps them.
      open_access: whether no shared key is configured.
      mutual_tls: whether clients have to show a certificate that is listed.
      body_max_bytes: of a request, for capabilities.
      tier: that was asked for.
      autonomous_hooks: whether the language model tags new memories and compares them with similar ones.
      events_count: so many events are kept for those who follow them; and none for more than `events_days`.
      webhooks_private: whether webhooks may lead to private addresses.
      pending_expiry_s: how long an action waits for its approval.
      audit_keep_days, audit_keep_count: rows of the audit that are older, or more, go; None keeps them.
      embedding_grace_s: how long the vectors of a text are awaited of the node that wrote it; 0 makes all here.
      served_writes: W of the daemon that served this database last, where this process has none of its own; else 1.
      curator_interval_s: between cycles of the curator in this process; None if it runs none.
    """

    lifetimes: Lifetimes = Lifetimes()
    archive_on_gc: bool = True
    archive_max_days: int | None = None
    scoring: ScoringConfig = ScoringConfig()
    open_access: bool = True
    mutual_tls: bool = False
    body_max_bytes: int = 2 * 1024 * 1024
    tier: str = "semantic"
    autonomous_hooks: bool = False
    embedding_grace_s: float = 30.0
    curator_interval_s: float | None = None
    pending_expiry_s: float = 7 * DAY_S
    audit_keep_days: int | None = 365
    audit_keep_count: int | None = 1_000_000
    events_count: int = 100_000
    events_days: int = 7
    webhooks_private: bool = False
    served_writes: int = 1


class Touch(Struct, frozen=True):
    """Memories that a recall returned, and when."""

    ids: tuple[MemoryId, ...]
    at: Instant


class Hook(Struct, frozen=True):
    """A memory that the language model has to look at, and who stored it."""

    memory_id: MemoryId
    who: Principal


class Once(Struct, frozen=True):
    """A client's `Idempotency-Key` and the hash of the request that it stands for."""

    key: str
    request_hash: bytes


class Counters(Struct):
    """What services did so far, for metrics."""

    stored: int = 0
    updated: int = 0
    deleted: int = 0
    recalls: int = 0
    searches: int = 0
    touches_dropped: int = 0
    embedded: int = 0
    embeddings_fetched: int = 0
    embeddings_refused: int = 0
    embeddings_lent: int = 0
    collected: int = 0
    idempotent_replays: int = 0


@dataclass(frozen=True, kw_only=True)
class Node:
    """One node's services: its ports, its store, its recall, and the queues of what follows a read or a write.

    Attributes:
      language: the language model, or None if the tier has none.
      language_state: what is known of it.
      trust: who this node is to others, and whom it believes.
      mesh: the peers, of which there may be none; None for a process that has none and will never talk with any.
      held_keyring: the keys of agents; ask `service.keyring`, which brings them up to date.
      happenings: the latest events, for those who follow them.
      post: what waits to be sent to subscribers.
      embedding: whose turn it is to make the vectors of a text.
      index_changed: pulsed by the indexer whenever the backlog or the mode may have changed.
      limiter: what each caller has left of what it may ask for.
      refusals: rows for the audit that no write of their own carries.
      figures: further sources of figures (connections, restarts), which whoever runs the node adds.
      upkeep: what the upkeep of the database did so far.
      papers: its certificates, and those that its peers showed.
      membership: where it is told who the members are.
      warnings: sentences for health and capabilities (why recall is by keyword, what is open).
    """

    store: Store
    clock: Clock
    chance: Chance
    threads: Threads
    recaller: Recaller
    policy: Policy
    trust: Trust
    language: LanguageModel | None = None
    language_state: ModelState = field(default_factory=ModelState)
    mesh: Mesh | None = None
    counters: Counters = field(default_factory=Counters)
    held_keyring: HeldKeyring = field(default_factory=HeldKeyring)
    warnings: list[str] = field(default_factory=list)
    touches: tuple[trio.MemorySendChannel[Touch], trio.MemoryReceiveChannel[Touch]] = field(
        default_factory=lambda: trio.open_memory_channel[Touch](TOUCHES_QUEUED)
    )
    hooks: tuple[trio.MemorySendChannel[Hook], trio.MemoryReceiveChannel[Hook]] = field(
        default_factory=lambda: trio.open_memory_channel[Hook](HOOKS_QUEUED)
    )
    limiter: Limiter = field(default_factory=Limiter)
    refusals: Refusals = field(default_factory=Refusals)
    figures: list[Callable[[], tuple[Sample, ...]]] = field(default_factory=list)
    happenings: Happenings = field(default_factory=Happenings)
    post: Post = field(default_factory=Post)
    embedding: EmbeddingWork = field(default_factory=EmbeddingWork)
    papers: Papers = field(default_factory=Papers)
    upkeep: Tidiness = field(default_factory=Tidiness)
    membership: Membership = field(default_factory=Membership)
    index_changed: trio.Condition = field(default_factory=trio.Condition)
