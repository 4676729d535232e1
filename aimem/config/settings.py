"""The one table of settings: file key, variable, flag, type, range, default and help of each.

Loader, command line parser, manual and checks all read it, so a setting is described once.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Final

from msgspec import Struct

from aimem.config.slices import OLLAMA_URL, EmbeddingModel, FeatureTier, LogFormat, LogLevel, McpProfile

EVERY_VERB: Final = ("*",)
"""`Setting.flag_of` of a global flag: accepted before and after every verb."""

TTL_MAX_S: Final = 315_360_000
"""Ten years: the longest life that v0.6.3 accepts in its configuration."""

_NO_USE: Final = "has no effect, as in v0.6.3"


class Kind(Enum):
    """How a setting is written, in the words of the manual."""

    TEXT = "text"
    SECRET = "secret text"
    PATH = "path"
    URL = "http(s) address"
    URLS = "http(s) addresses, divided by commas"
    ADDRESS = "HOST:PORT"
    INTEGER = "integer"
    NUMBER = "number"
    SWITCH = "true or false"
    CHOICE = "one of a list"


class Setting(Struct, frozen=True, kw_only=True):
    """One setting.

    Attributes:
      key: its name, and its (dotted) key in the configuration file.
      variable: its environment variable.
      kind, low, high, choices: what may be written.
      default: the value without any source, as it would be written; empty if there is none.
      help: what it does; one sentence for `--help` and the manual.
      flag, short: its option on the command line, or None.
      flag_of: verbs that take the flag.
      unused: why it has no effect, or empty. Such a setting is still checked.
    """

    key: str
    variable: str
    kind: Kind
    help: str
    default: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    flag: str | None = None
    short: str | None = None
    flag_of: tuple[str, ...] = ()
    unused: str = ""


class Variable(Struct, frozen=True, kw_only=True):
    """An environment variable that is no setting."""

    name: str
    help: str


def _words(choices: type[StrEnum]) -> tuple[str, ...]:
    return tuple(choice.value for choice in choices)


SETTINGS: Final = (
    Setting(key="db", variable="AI_MEMORY_DB", kind=Kind.PATH, flag="--db", flag_of=EVERY_VERB,
            default="./ai-memory.db if it exists, else $XDG_DATA_HOME/ai-memory/ai-memory.db",
            help="The database file; a leading ~ is the home folder."),
    Setting(key="agent_id", variable="AI_MEMORY_AGENT_ID", kind=Kind.TEXT, flag="--agent-id", flag_of=EVERY_VERB,
            default="made of host, process and chance",
            help="Whom writes are attributed to: 1 to 128 letters, digits and _ - : @ . /"),
    Setting(key="log_level", variable="AI_MEMORY_LOG_LEVEL", kind=Kind.CHOICE, choices=_words(LogLevel), default="info",
            flag="--log-level", flag_of=EVERY_VERB, help="The least important log line that is written to stderr."),
    Setting(key="log_format", variable="AI_MEMORY_LOG_FORMAT", kind=Kind.CHOICE, choices=_words(LogFormat),
            default="text", flag="--log-format", flag_of=EVERY_VERB, help="How a log line is written."),
    Setting(key="tier", variable="AI_MEMORY_TIER", kind=Kind.CHOICE, choices=_words(FeatureTier), default="semantic",
            flag="--tier", short="-T", flag_of=("serve", "mcp", "recall"),
            help="What is used: words (keyword), meaning too (semantic), and a language model (smart, autonomous)."),
    Setting(key="bind", variable="AI_MEMORY_BIND", kind=Kind.ADDRESS, flag="--bind", flag_of=("serve",),
            help="Address to listen on; excludes host and port. IPv6 is written [::1]:9077."),
    Setting(key="host", variable="AI_MEMORY_HOST", kind=Kind.TEXT, default="127.0.0.1", flag="--host",
            flag_of=("serve",), help="Name or address to listen on."),
    Setting(key="port", variable="AI_MEMORY_PORT", kind=Kind.INTEGER, low=0, high=65_535, default="9077", flag="--port",
            flag_of=("serve",), help="Port to listen on; 0 takes a free one."),
    Setting(key="insecure", variable="AI_MEMORY_INSECURE", kind=Kind.SWITCH, default="false", flag="--insecure",
            flag_of=("serve",), help="Listen on a public address although there is no TLS."),
    Setting(key="shutdown_grace_secs", variable="AI_MEMORY_SHUTDOWN_GRACE_SECS", kind=Kind.NUMBER, low=0, high=3600,
            default="30", flag="--shutdown-grace-secs", flag_of=("serve",),
            help="Seconds that requests in progress may go on at shutdown."),
    Setting(key="api_key", variable="AI_MEMORY_API_KEY", kind=Kind.SECRET,
            help="The shared key that callers over TCP must send in the header X-API-Key; or, for a command and an MCP "
                 "session, the key of an agent (aim_...), to act as that agent."),
    Setting(key="api_key_file", variable="AI_MEMORY_API_KEY_FILE", kind=Kind.PATH, default="none",
            help="A file that holds api_key, and nothing else; excludes it. A leading $CREDENTIALS_DIRECTORY/ is the "
                 "folder of the service manager, here and in the paths of certificates and keys."),
    Setting(key="request_deadline_secs", variable="AI_MEMORY_REQUEST_DEADLINE_SECS", kind=Kind.NUMBER, low=0.1,
            high=3600, default="30", help="Seconds that one request may take."),
    Setting(key="body_max_bytes", variable="AI_MEMORY_BODY_MAX_BYTES", kind=Kind.INTEGER, low=1024,
            high=64 * 1024 * 1024, default="2097152", help="Largest request body, in bytes."),
    Setting(key="mesh.quorum_peers", variable="AI_MEMORY_QUORUM_PEERS", kind=Kind.URLS, flag="--quorum-peers",
            flag_of=("serve",), default="none",
            help="The other nodes of the mesh, ai-memory-mesh(7): addresses, divided by commas, without this one; or "
                 "@ and the path of a file that lists them, one a line."),
    Setting(key="mesh.quorum_writes", variable="AI_MEMORY_QUORUM_WRITES", kind=Kind.INTEGER, low=0, high=33,
            default="0", flag="--quorum-writes", flag_of=("serve",),
            help="Nodes that have a write when it is acknowledged, this one included; 0 and 1 wait for no other."),
    Setting(key="mesh.quorum_timeout_ms", variable="AI_MEMORY_QUORUM_TIMEOUT_MS", kind=Kind.INTEGER, low=50,
            high=60_000, default="2000", flag="--quorum-timeout-ms", flag_of=("serve",),
            help="Milliseconds that a write waits for them, and 5 for each op of it: a bulk store has many."),
    Setting(key="mesh.catchup_interval_secs", variable="AI_MEMORY_CATCHUP_INTERVAL_SECS", kind=Kind.NUMBER, low=0,
            high=3600, default="30", flag="--catchup-interval-secs", flag_of=("serve",),
            help="Seconds between exchanges with a peer when nothing is to be sent; 0 leaves it to the peers to ask."),
    Setting(key="mesh.embedding_grace_secs", variable="AI_MEMORY_EMBEDDING_GRACE_SECS", kind=Kind.NUMBER, low=0,
            high=3600, default="30", flag="--embedding-grace-secs", flag_of=("serve",),
            help="Seconds that the vectors of a text are awaited of the node that wrote it before this node makes them "
                 "itself; 0 makes all of them here."),
    Setting(key="mesh.node_name", variable="AI_MEMORY_NODE_NAME", kind=Kind.TEXT, default="the host's name",
            flag="--node-name", flag_of=("serve",),
            help="What this node is called in the mesh; taken when the database is made."),
    Setting(key="mesh.compare_interval_secs", variable="AI_MEMORY_COMPARE_INTERVAL_SECS", kind=Kind.NUMBER, low=0,
            high=604_800, default="3600", flag="--compare-interval-secs", flag_of=("serve",),
            help="Seconds between comparisons of all objects with those of one peer, on average; 0 means never."),
    Setting(key="mesh.op_log_max_bytes", variable="AI_MEMORY_OP_LOG_MAX_BYTES", kind=Kind.INTEGER, low=1_048_576,
            high=1 << 40, default="1073741824", flag="--op-log-max-bytes", flag_of=("serve",),
            help="Bytes of writes that are kept for peers that were away; who lacks older ones fetches the state."),
    Setting(key="mesh.op_log_max_days", variable="AI_MEMORY_OP_LOG_MAX_DAYS", kind=Kind.NUMBER, low=0.01, high=36_500,
            default="30", flag="--op-log-max-days", flag_of=("serve",), help="Days that they are kept at most."),
    Setting(key="mesh.quorum_client_cert", variable="AI_MEMORY_QUORUM_CLIENT_CERT", kind=Kind.PATH, default="none",
            flag="--quorum-client-cert", flag_of=("serve",),
            help="The certificate that this node shows its peers, and its chain: a PEM file."),
    Setting(key="mesh.quorum_client_key", variable="AI_MEMORY_QUORUM_CLIENT_KEY", kind=Kind.PATH, default="none",
            flag="--quorum-client-key", flag_of=("serve",), help="The key of that certificate: a PEM file."),
    Setting(key="mesh.quorum_ca_cert", variable="AI_MEMORY_QUORUM_CA_CERT", kind=Kind.PATH,
            default="those that the machine trusts", flag="--quorum-ca-cert", flag_of=("serve",),
            help="The authorities that sign the peers' certificates, and no others: a PEM file."),
    Setting(key="tls.cert", variable="AI_MEMORY_TLS_CERT", kind=Kind.PATH, default="none", flag="--tls-cert",
            flag_of=("serve",),
            help="The certificate with which this node serves HTTPS, and its chain: a PEM file; without it, HTTP."),
    Setting(key="tls.key", variable="AI_MEMORY_TLS_KEY", kind=Kind.PATH, default="none", flag="--tls-key",
            flag_of=("serve",), help="The key of that certificate: a PEM file without a passphrase."),
    Setting(key="tls.mtls_allowlist", variable="AI_MEMORY_MTLS_ALLOWLIST", kind=Kind.PATH, default="none",
            flag="--mtls-allowlist", flag_of=("serve",),
            help="The certificates that may connect: a file of their SHA-256 fingerprints, one a line. Without it, "
                 "clients need none."),
    Setting(key="tls.mtls_ca_cert", variable="AI_MEMORY_MTLS_CA_CERT", kind=Kind.PATH, default="quorum_ca_cert",
            flag="--mtls-ca-cert", flag_of=("serve",),
            help="The authorities that must have signed the listed certificates: a PEM file. Without any, or with the "
                 "word none, the list alone decides, and they may be self-signed."),
    Setting(key="consistency", variable="AI_MEMORY_CONSISTENCY", kind=Kind.CHOICE,
            choices=("local", "quorum", "majority", "all"), default="quorum", flag="--consistency",
            flag_of=EVERY_VERB,
            help="How many nodes the writes of this command wait for: this one, as many as is configured, more than "
                 "half, or all."),
    Setting(key="mcp_profile", variable="AI_MEMORY_MCP_PROFILE", kind=Kind.CHOICE, choices=_words(McpProfile),
            default="core", flag="--profile", flag_of=("mcp",),
            help="The tools that an MCP client is shown: core, the few that most work needs, or full, all; each works "
                 "when called, shown or not."),
    Setting(key="model_dir", variable="AI_MEMORY_MODEL_DIR", kind=Kind.PATH, default="the installed package",
            help="Folder of the embedding model (model.onnx and its tokenizer files)."),
    Setting(key="archive_on_gc", variable="AI_MEMORY_ARCHIVE_ON_GC", kind=Kind.SWITCH, default="true",
            help="Keep expired memories in the archive instead of deleting them."),
    Setting(key="archive_max_days", variable="AI_MEMORY_ARCHIVE_MAX_DAYS", kind=Kind.INTEGER, high=36_500,
            default="never", help="Purge archived memories older than so many days; 0 or less means never."),
    Setting(key="curator.interval_secs", variable="AI_MEMORY_CURATOR_INTERVAL_SECS", kind=Kind.INTEGER, low=0,
            high=86_400, default="0",
            help="Seconds between cycles of the curator in the daemon, ai-memory-curator(1); 0 means none."),
    Setting(key="curator.max_ops", variable="AI_MEMORY_CURATOR_MAX_OPS", kind=Kind.INTEGER, low=1, high=1000,
            default="100", help="Acts of one such cycle, at most."),
    Setting(key="events.keep_count", variable="AI_MEMORY_EVENTS_KEEP_COUNT", kind=Kind.INTEGER, low=1000,
            high=10_000_000, default="100000", help="Events that are kept for those who follow them."),
    Setting(key="events.keep_days", variable="AI_MEMORY_EVENTS_KEEP_DAYS", kind=Kind.INTEGER, low=1, high=3650,
            default="7", help="Days that an event is kept, and a delivery of a webhook that was given up."),
    Setting(key="webhooks.allow_private", variable="AI_MEMORY_WEBHOOKS_ALLOW_PRIVATE", kind=Kind.SWITCH,
            default="false",
            help="Let webhooks lead to this machine (also by http) and to private addresses; anybody who may subscribe "
                 "can then have requests sent there."),
    Setting(key="audit.keep_days", variable="AI_MEMORY_AUDIT_KEEP_DAYS", kind=Kind.INTEGER, low=0, high=36_500,
            default="365", help="Days that rows of the audit are kept, ai-memory-audit(1); 0 keeps them for ever."),
    Setting(key="audit.keep_count", variable="AI_MEMORY_AUDIT_KEEP_COUNT", kind=Kind.INTEGER, low=0,
            high=1_000_000_000, default="1000000, or 0 where audit.keep_days is 0",
            help="Rows of the audit that are kept, about 200 bytes each; 0 keeps all that keep_days does."),
    Setting(key="limits.requests_per_sec", variable="AI_MEMORY_LIMITS_REQUESTS_PER_SEC", kind=Kind.NUMBER, low=0,
            high=1_000_000, default="0", flag="--limit-requests-per-sec", flag_of=("serve",),
            help="Requests a second that one agent may send in the long run; 0 means as many as it likes."),
    Setting(key="limits.requests_burst", variable="AI_MEMORY_LIMITS_REQUESTS_BURST", kind=Kind.INTEGER, low=0,
            high=1_000_000, default="two seconds' worth, and 10 at least",
            help="Requests that an agent which rested may send at once."),
    Setting(key="limits.writes_per_min", variable="AI_MEMORY_LIMITS_WRITES_PER_MIN", kind=Kind.INTEGER, low=0,
            high=10_000_000, default="0", flag="--limit-writes-per-min", flag_of=("serve",),
            help="Writes a minute that one agent may do in the long run; 0 means as many as it likes."),
    Setting(key="limits.writes_burst", variable="AI_MEMORY_LIMITS_WRITES_BURST", kind=Kind.INTEGER, low=0,
            high=10_000_000, default="ten seconds' worth, and 10 at least",
            help="Writes that an agent which rested may do at once."),
    Setting(key="limits.memories", variable="AI_MEMORY_LIMITS_MEMORIES", kind=Kind.INTEGER, low=0, high=10**12,
            default="0", flag="--limit-memories", flag_of=("serve",),
            help="Live memories that one agent may have; 0 means as many as it likes."),
    Setting(key="limits.content_bytes", variable="AI_MEMORY_LIMITS_CONTENT_BYTES", kind=Kind.INTEGER, low=0,
            high=10**12, default="0", flag="--limit-content-bytes", flag_of=("serve",),
            help="Bytes that the contents of one agent's live memories may have; 0 means as many as it likes."),
    Setting(key="limits.spare_operators", variable="AI_MEMORY_LIMITS_SPARE_OPERATORS", kind=Kind.SWITCH,
            default="false", help="Whether none of these limits holds for operators."),
    Setting(key="ttl.short_ttl_secs", variable="AI_MEMORY_SHORT_TTL_SECS", kind=Kind.INTEGER, high=TTL_MAX_S,
            default="21600", help="Seconds that a new short-tier memory lives; 0 or less means for ever."),
    Setting(key="ttl.mid_ttl_secs", variable="AI_MEMORY_MID_TTL_SECS", kind=Kind.INTEGER, high=TTL_MAX_S,
            default="604800", help="Seconds that a new mid-tier memory lives; 0 or less means for ever."),
    Setting(key="ttl.long_ttl_secs", variable="AI_MEMORY_LONG_TTL_SECS", kind=Kind.INTEGER, high=TTL_MAX_S,
            default="for ever", help="Seconds that a new long-tier memory lives; 0 or less means for ever."),
    Setting(key="ttl.short_extend_secs", variable="AI_MEMORY_SHORT_EXTEND_SECS", kind=Kind.INTEGER, low=0,
            high=TTL_MAX_S, default="3600", help="A recalled short-tier memory lives at least so many seconds more."),
    Setting(key="ttl.mid_extend_secs", variable="AI_MEMORY_MID_EXTEND_SECS", kind=Kind.INTEGER, low=0, high=TTL_MAX_S,
            default="86400", help="A recalled mid-tier memory lives at least so many seconds more."),
    Setting(key="scoring.half_life_days_short", variable="AI_MEMORY_HALF_LIFE_DAYS_SHORT", kind=Kind.NUMBER, low=0.1,
            high=36_500, default="7", help="Days after which the recency of a short-tier memory counts half."),
    Setting(key="scoring.half_life_days_mid", variable="AI_MEMORY_HALF_LIFE_DAYS_MID", kind=Kind.NUMBER, low=0.1,
            high=36_500, default="30", help="Days after which the recency of a mid-tier memory counts half."),
    Setting(key="scoring.half_life_days_long", variable="AI_MEMORY_HALF_LIFE_DAYS_LONG", kind=Kind.NUMBER, low=0.1,
            high=36_500, default="365", help="Days after which the recency of a long-tier memory counts half."),
    Setting(key="scoring.legacy_scoring", variable="AI_MEMORY_LEGACY_SCORING", kind=Kind.SWITCH, default="false",
            help="Leave the age of a memory out of its score."),
    Setting(key="governance.pending_expiry_days", variable="AI_MEMORY_PENDING_EXPIRY_DAYS", kind=Kind.NUMBER, low=0.001,
            high=365, default="7", flag="--pending-expiry-days", flag_of=("serve", "mcp"),
            help="Days that an action waits for its approval before it lapses, ai-memory-governance(7)."),
    Setting(key="identity.anonymize_default", variable="AI_MEMORY_ANONYMIZE", kind=Kind.SWITCH, default="false",
            help="Keep the host's name out of generated agent ids."),
    Setting(key="store.queue_count", variable="AI_MEMORY_STORE_QUEUE_COUNT", kind=Kind.INTEGER, low=1, high=65_536,
            default="1024", help="Writes that may wait for the writer."),
    Setting(key="store.group_count", variable="AI_MEMORY_STORE_GROUP_COUNT", kind=Kind.INTEGER, low=1, high=4096,
            default="64", help="Most writes in one transaction."),
    Setting(key="store.reader_count", variable="AI_MEMORY_STORE_READER_COUNT", kind=Kind.INTEGER, low=1, high=64,
            default="4", help="Read-only connections to the database."),
    Setting(key="ollama_url", variable="AI_MEMORY_OLLAMA_URL", kind=Kind.URL, default=OLLAMA_URL,
            help="The Ollama server that runs the language model of the tiers smart and autonomous."),
    Setting(key="llm_model", variable="AI_MEMORY_LLM_MODEL", kind=Kind.TEXT,
            default="gemma4:e2b (smart) or gemma4:e4b (autonomous)",
            help="The language model, as Ollama calls it; it is never fetched unasked: run ollama pull."),
    Setting(key="autonomous_hooks", variable="AI_MEMORY_AUTONOMOUS_HOOKS", kind=Kind.SWITCH, default="false",
            help="Have the language model tag new memories and compare them with similar ones, after they are stored."),
    Setting(key="embedding_model", variable="AI_MEMORY_EMBEDDING_MODEL", kind=Kind.CHOICE,
            choices=_words(EmbeddingModel), default="mini_lm_l6_v2 (semantic) or nomic_embed_v15 (smart, autonomous)",
            help="What makes vectors: MiniLM in this process, or nomic-embed-text in Ollama."),
    Setting(key="embed_url", variable="AI_MEMORY_EMBED_URL", kind=Kind.URL, default="the same as ollama_url",
            help="The Ollama server that makes vectors with nomic_embed_v15."),
    Setting(key="cross_encoder", variable="AI_MEMORY_CROSS_ENCODER", kind=Kind.SWITCH, unused=_NO_USE,
            help="Read by v0.6.3, used by nothing."),
    Setting(key="default_namespace", variable="AI_MEMORY_DEFAULT_NAMESPACE", kind=Kind.TEXT, unused=_NO_USE,
            help="Read by v0.6.3, used by nothing."),
    Setting(key="max_memory_mb", variable="AI_MEMORY_MAX_MEMORY_MB", kind=Kind.INTEGER, low=0, unused=_NO_USE,
            help="Read by v0.6.3, used by nothing."),
)

VARIABLES: Final = (
    Variable(name="AI_MEMORY_CONFIG", help="The configuration file to read, as --config."),
    Variable(name="AI_MEMORY_NO_CONFIG", help="If set, even to nothing, no configuration file is read."),
    Variable(name="AI_MEMORY_DEBUG", help="If 1, an unexpected failure also prints its traceback; the log then has the "
                                        "words of exceptions and libraries, which may quote memories."),
)

_BY_KEY: Final = {setting.key: setting for setting in SETTINGS}


def setting(key: str) -> Setting:
    """The setting of this key. Raises: KeyError."""
    return _BY_KEY[key]
