"""Settings: one frozen slice per room, made by one loader from file < environment < flag.

Owns the table of settings, the configuration file and every look at the environment. Must never guess: what it cannot
understand is an error that names the place, because a setting that silently falls back may open a door (`api_key`).
"""

from aimem.config.checks import kind_words
from aimem.config.loader import load_config, system_environ
from aimem.config.mesh import NO_PEERS_NOTICE, peers_in
from aimem.config.settings import EVERY_VERB, SETTINGS, VARIABLES, Kind, Setting, Variable, setting
from aimem.config.slices import (
    ApiConfig,
    AuditConfig,
    Config,
    CuratorConfig,
    EmbeddingModel,
    EventsConfig,
    FeatureTier,
    GovernanceConfig,
    IdentityConfig,
    LanguageConfig,
    LimitsConfig,
    LogConfig,
    LogFormat,
    LogLevel,
    McpConfig,
    McpProfile,
    MeshConfig,
    NamedFile,
    ScoringConfig,
    SearchConfig,
    StoreConfig,
    TlsConfig,
)
from aimem.config.tls import with_peer_files
from aimem.config.told import Place, Told

__all__ = [
    "EVERY_VERB",
    "NO_PEERS_NOTICE",
    "SETTINGS",
    "VARIABLES",
    "ApiConfig",
    "AuditConfig",
    "Config",
    "CuratorConfig",
    "EmbeddingModel",
    "EventsConfig",
    "FeatureTier",
    "GovernanceConfig",
    "IdentityConfig",
    "Kind",
    "LanguageConfig",
    "LimitsConfig",
    "LogConfig",
    "LogFormat",
    "LogLevel",
    "McpConfig",
    "McpProfile",
    "MeshConfig",
    "NamedFile",
    "Place",
    "ScoringConfig",
    "SearchConfig",
    "Setting",
    "StoreConfig",
    "TlsConfig",
    "Told",
    "Variable",
    "kind_words",
    "load_config",
    "peers_in",
    "setting",
    "system_environ",
    "with_peer_files",
]
