"""Settings: one frozen slice per room, made by one loader from file < environment < flag.

Owns the table of settings, the configuration file and every look at the environment. Must never guess: what it cannot
understand is an error that names the place, because a setting that silently falls back may open a door (`api_key`).
"""

from aimem.config.checks import kind_words
from aimem.config.editing import peers_written, replace_text, with_entry, with_settings, without_entry
from aimem.config.loader import load_config, system_environ
from aimem.config.mesh import NO_PEERS_NOTICE, is_same_place, peer_in, peers_in
from aimem.config.settings import EVERY_VERB, SETTINGS, VARIABLES, Kind, Setting, Variable, setting
from aimem.config.slices import (
    RESTORED_SUFFIX,
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
from aimem.config.tomlfile import read_text

__all__ = [
    "EVERY_VERB",
    "NO_PEERS_NOTICE",
    "RESTORED_SUFFIX",
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
    "is_same_place",
    "kind_words",
    "load_config",
    "peer_in",
    "peers_in",
    "peers_written",
    "read_text",
    "replace_text",
    "setting",
    "system_environ",
    "with_entry",
    "with_peer_files",
    "with_settings",
    "without_entry",
]
