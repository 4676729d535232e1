"""What each room is told: values only, complete and checked, never a key that a room does not use."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Final

from msgspec import Struct

from aimem.config.told import Told
from aimem.model import DAY_S, Lifetimes, Tier

OLLAMA_URL: Final = "http://localhost:11434"
"""Where Ollama listens by itself."""


class FeatureTier(StrEnum):
    """How much machinery is used: words; and meaning; and a language model; and a larger one."""

    KEYWORD = "keyword"
    SEMANTIC = "semantic"
    SMART = "smart"
    AUTONOMOUS = "autonomous"


class EmbeddingModel(StrEnum):
    """What makes vectors: MiniLM in this process, or nomic-embed-text, which an Ollama server runs."""

    MINI_LM = "mini_lm_l6_v2"
    NOMIC = "nomic_embed_v15"


class McpProfile(StrEnum):
    """Which tools an MCP client is shown; every tool works when called, shown or not."""

    CORE = "core"
    FULL = "full"


class LogFormat(StrEnum):
    """How a log line is written."""

    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """The least important log line that is still written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


RESTORED_SUFFIX: Final = ".restored"
"""Behind the name of a database: another one, whole and synced, which is to take its place."""


class StoreConfig(Struct, frozen=True, kw_only=True):
    """The database.

    Attributes:
      db: absolute path of the file.
      named_by: where it was named (`--db`, `AI_MEMORY_DB`, a line of the file), or empty if a rule chose it.
      queue_count: writes that may wait for the writer; one more waits at its door.
      group_count: most writes in one transaction.
      reader_count: read-only connections.
    """

    db: Path
    named_by: str = ""
    queue_count: int = 1024
    group_count: int = 64
    reader_count: int = 4


class ScoringConfig(Struct, frozen=True, kw_only=True):
    """How fast recency fades, as half-lives in days by tier; `decays` false leaves age out of the score."""

    half_life_short_days: float = 7.0
    half_life_mid_days: float = 30.0
    half_life_long_days: float = 365.0
    decays: bool = True

    def half_life_days(self, tier: Tier) -> float | None:
        """Of a tier; None if age does not count."""
        days = {Tier.SHORT: self.half_life_short_days, Tier.MID: self.half_life_mid_days}
        return days.get(tier, self.half_life_long_days) if self.decays else None


class SearchConfig(Struct, frozen=True, kw_only=True):
    """Recall.

    Attributes:
      tier: what may be used (see FeatureTier).
      model_dir: absolute folder of the embedding model, or None for the installed package.
      embedding: which model makes vectors, unless the tier is keyword.
      embed_url: the Ollama server that does, if it is not this process; no slash at its end.
    """

    tier: FeatureTier = FeatureTier.SEMANTIC
    model_dir: Path | None = None
    scoring: ScoringConfig = ScoringConfig()
    embedding: EmbeddingModel = EmbeddingModel.MINI_LM
    embed_url: str = OLLAMA_URL


class LanguageConfig(Struct, frozen=True, kw_only=True):
    """The language model of the tiers smart and autonomous.

    Attributes:
      url: the Ollama server that runs it; no slash at its end.
      model: as that server calls it.
      hooks: whether new memories are tagged, and compared with similar ones.
    """

    url: str
    model: str
    hooks: bool = False


class CuratorConfig(Struct, frozen=True, kw_only=True):
    """What the clock does: expiry and the archive, and the curator's cycles.

    Attributes:
      archive_on_gc: keep what expires.
      archive_max_days: purge archived rows after so many days; None for never.
      interval_s: between looks at what has expired.
      cycle_interval_s: between cycles of the curator; None for no cycles.
      max_ops: acts of one cycle, at most.
    """

    archive_on_gc: bool = True
    archive_max_days: int | None = None
    interval_s: float = 1800
    cycle_interval_s: float | None = None
    max_ops: int = 100


class GovernanceConfig(Struct, frozen=True, kw_only=True):
    """Approvals.

    Attributes:
      pending_expiry_s: how long an action waits for its approval.
    """

    pending_expiry_s: float = 7 * DAY_S


class EventsConfig(Struct, frozen=True, kw_only=True):
    """What happened, and who is told.

    Attributes:
      keep_count: so many events are kept for those who follow them.
      keep_days: and none of them longer.
      private_webhooks: whether webhooks may lead to loopback and private addresses.
    """

    keep_count: int = 100_000
    keep_days: int = 7
    private_webhooks: bool = False


class AuditConfig(Struct, frozen=True, kw_only=True):
    """The audit: for how many days its rows are kept, and how many of them; None for no such bound."""

    keep_days: int | None = 365
    keep_count: int | None = 1_000_000


class LimitsConfig(Struct, frozen=True, kw_only=True):
    """What one agent may ask for and keep; None for no limit.

    Attributes:
      requests_per_s, writes_per_min: in the long run.
      requests_burst, writes_burst: at once after a rest; None for what goes with the rate.
      memories: live ones of one author.
      content_bytes: of their contents.
      spares_operators: whether none of this holds for operators.
    """

    requests_per_s: float | None = None
    requests_burst: int | None = None
    writes_per_min: int | None = None
    writes_burst: int | None = None
    memories: int | None = None
    content_bytes: int | None = None
    spares_operators: bool = False

    @property
    def requests_at_once(self) -> float:
        """Two seconds' worth, and 10 at least."""
        return self.requests_burst or max(10.0, 2 * (self.requests_per_s or 0))

    @property
    def writes_per_s(self) -> float | None:
        """The same rate in the unit of the other."""
        return None if self.writes_per_min is None else self.writes_per_min / 60

    @property
    def writes_at_once(self) -> float:
        """Ten seconds' worth, and 10 at least."""
        return self.writes_burst or max(10.0, (self.writes_per_min or 0) / 6)


class ApiConfig(Struct, frozen=True, kw_only=True):
    """The HTTP door.

    Attributes:
      host, port: where to listen; port 0 takes a free one.
      insecure: whether a public address without TLS is meant.
      api_key: the shared key that callers over TCP must send, or None if there is none; never an agent's.
      body_max_bytes: largest request body.
      request_deadline_s: how long one request may take.
      shutdown_grace_s: how long requests in progress may go on at shutdown.
    """

    host: str = "127.0.0.1"
    port: int = 9077
    insecure: bool = False
    api_key: str | None = None
    body_max_bytes: int = 2 * 1024 * 1024
    request_deadline_s: float = 30
    shutdown_grace_s: float = 30


class MeshConfig(Struct, frozen=True, kw_only=True):
    """The other nodes; none is a node that stands alone.

    Attributes:
      peers: their addresses, without slashes at their ends.
      writes: nodes that have a write when it is acknowledged, this one included.
      timeout_s: how long a write waits for them.
      interval_s: between exchanges with a peer where nothing is to be sent.
      embedding_grace_s: how long the vectors of a text are awaited of the node that wrote it.
      node_name: what this node is called; None for the host's name.
      compare_s: between comparisons of all objects with those of one peer, on average; None for never.
      op_log_max_bytes, op_log_max_days: beyond which ops leave the log, whoever lacks them.
    """

    peers: tuple[str, ...] = ()
    writes: int = 1
    timeout_s: float = 2.0
    interval_s: float = 30.0
    embedding_grace_s: float = 30.0
    node_name: str | None = None
    compare_s: float | None = 3600.0
    op_log_max_bytes: int = 1 << 30
    op_log_max_days: float = 30.0


class NamedFile(Struct, frozen=True, kw_only=True):
    """A file that a setting names: its absolute path, the setting's key, and where that was written."""

    path: Path
    key: str
    origin: str


class TlsConfig(Struct, frozen=True, kw_only=True):
    """The files of TLS; None for what is not named.

    Attributes:
      cert, key: this node's own, as a server; without them it speaks plain HTTP.
      allowlist: the fingerprints of those who may connect; without it everybody may, and shows no certificate.
      clients_ca: who signed the certificates of those who connect; without it the list alone says who they are.
      client_cert, client_key: what this node shows its peers.
      peers_ca: who signed the peers' certificates; without it whom the machine trusts.
    """

    cert: NamedFile | None = None
    key: NamedFile | None = None
    allowlist: NamedFile | None = None
    clients_ca: NamedFile | None = None
    client_cert: NamedFile | None = None
    client_key: NamedFile | None = None
    peers_ca: NamedFile | None = None


class McpConfig(Struct, frozen=True, kw_only=True):
    """The MCP door: which tools `tools/list` shows, unless the client asks for another profile."""

    profile: McpProfile = McpProfile.CORE


class IdentityConfig(Struct, frozen=True, kw_only=True):
    """Whom writes are attributed to: an id, or None for one made of host and process (no host if `anonymize`).

    Attributes:
      agent_key: the key with which a client proves to be its agent; the agent need not be named then.
    """

    agent_id: str | None = None
    anonymize: bool = False
    agent_key: str | None = None


class LogConfig(Struct, frozen=True, kw_only=True):
    """What is logged on stderr, and how."""

    level: LogLevel = LogLevel.INFO
    format: LogFormat = LogFormat.TEXT


class Config(Struct, frozen=True, kw_only=True):
    """All slices; `language` is None for tiers without a language model.

    `consistency` is how many nodes the writes of a command wait for, if not as many as is configured. `told` is where
    the members of the mesh are named. `notices` are
    sentences for the operator: settings that are understood and have no effect, or one to know of.
    """

    store: StoreConfig
    search: SearchConfig = SearchConfig()
    language: LanguageConfig | None = None
    lifetimes: Lifetimes = Lifetimes()
    governance: GovernanceConfig = GovernanceConfig()
    curator: CuratorConfig = CuratorConfig()
    events: EventsConfig = EventsConfig()
    audit: AuditConfig = AuditConfig()
    limits: LimitsConfig = LimitsConfig()
    api: ApiConfig = ApiConfig()
    mesh: MeshConfig = MeshConfig()
    tls: TlsConfig = TlsConfig()
    consistency: str | None = None
    mcp: McpConfig = McpConfig()
    identity: IdentityConfig = IdentityConfig()
    log: LogConfig = LogConfig()
    told: Told = Told()
    notices: tuple[str, ...] = ()
