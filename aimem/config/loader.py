"""From file, environment and flags to slices: file < environment < flag."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from aimem.config.checks import Given, check, did_you_mean, invalid, subject, typed
from aimem.config.keyfile import KEY, KEY_FILE, credential_in, key_file_notices, override_key, read_key
from aimem.config.members import listed_in, told_of
from aimem.config.mesh import mesh_notices, mesh_of
from aimem.config.models import embed_url_of, embedding_of, language_of, model_notices, tier_of
from aimem.config.settings import SETTINGS, VARIABLES, Kind
from aimem.config.slices import (
    RESTORED_SUFFIX,
    ApiConfig,
    AuditConfig,
    Config,
    CuratorConfig,
    EventsConfig,
    GovernanceConfig,
    IdentityConfig,
    LimitsConfig,
    LogConfig,
    LogFormat,
    LogLevel,
    McpConfig,
    McpProfile,
    ScoringConfig,
    SearchConfig,
    StoreConfig,
)
from aimem.config.tls import FILE_KEYS, tls_notices, tls_of
from aimem.config.tomlfile import ConfigFile, read_config_file
from aimem.errors import Bug, Code, InvalidRequest
from aimem.model import AGENT_KEY_PREFIX, DAY_S, Lifetimes, key_id_of, rules

T = TypeVar("T")
Layer = dict[str, Given]

_BY_KEY = {setting.key: setting for setting in SETTINGS}
_TABLES = frozenset(key.partition(".")[0] for key in _BY_KEY if "." in key)
_PREFIX = "AI_MEMORY_"
_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\[\]:\s]+)):(\d{1,5})", re.ASCII)
_HOST = re.compile(r"[0-9A-Za-z._:%-]+", re.ASCII)


def system_environ() -> Mapping[str, str]:
    """The environment of this process; nothing else of ours reads it."""
    return dict(os.environ)


def load_config(
    flags: Mapping[str, object], environ: Mapping[str, str], *, cwd: Path, home: Path, etc: Path = Path("/etc")
) -> Config:
    """Read all settings; nothing is created.

    Args:
      flags: by key of the setting (`db`, `shutdown_grace_secs`), and `config` for the file's path; None is absence.
        A text is read as the setting's kind; a value of the kind is taken as it is.
      environ: the environment; an empty variable counts as absent, save where emptiness would open a door (`api_key`).
      cwd, home: absolute folders that relative paths and `~` refer to.
      etc: where the machine's configuration lies.
    Raises: InvalidRequest(config_invalid) naming the place, the key, what was given and what is allowed.
    """
    file = _find_file(flags, environ, cwd=cwd, home=home, etc=etc)
    of_file = _file_layer(file) if file else {}
    given: Layer = {}
    for layer in (of_file, _variable_layer(environ), _flag_layer(flags)):
        _split_address(layer)
        override_key(given, layer)
        given |= layer
    notices = [*_file_notices(file), *_variable_notices(environ), *_setting_notices(given)]
    if KEY_FILE in given:
        key_file = _path(credential_in(str(given[KEY_FILE].value), environ), cwd=cwd, home=home)
        given[KEY] = read_key(given[KEY_FILE], key_file)
        notices += key_file_notices(key_file)
    named = listed_in(given)
    told = told_of(
        given, of_file, _place_of_file(file, environ, home), None if named is None else _path(named, cwd=cwd, home=home)
    )
    return replace(_slices(given, environ, cwd=cwd, home=home, notices=tuple(notices), listed=told.listed), told=told)


def _place_of_file(file: ConfigFile | None, environ: Mapping[str, str], home: Path) -> Path | None:
    """The configuration file; without one, where the next start would look first."""
    if file is not None:
        return file.path
    return None if "AI_MEMORY_NO_CONFIG" in environ else _own_file(environ, home)


def _own_file(environ: Mapping[str, str], home: Path) -> Path:
    return _xdg(environ, "XDG_CONFIG_HOME", home / ".config") / "ai-memory" / "config.toml"


def _find_file(
    flags: Mapping[str, object], environ: Mapping[str, str], *, cwd: Path, home: Path, etc: Path
) -> ConfigFile | None:
    named = flags.get("config") or ("AI_MEMORY_NO_CONFIG" not in environ and environ.get("AI_MEMORY_CONFIG")) or None
    if named is not None:
        path = _path(str(named), cwd=cwd, home=home)
        if not _exists(path):
            raise InvalidRequest(f"{path}: no such configuration file", code=Code.CONFIG_INVALID, field="config")
        return read_config_file(path)
    if "AI_MEMORY_NO_CONFIG" in environ:
        return None
    places = (_own_file(environ, home), etc / "ai-memory" / "config.toml")
    found = next((path for path in places if _exists(path)), None)
    return read_config_file(found) if found else None


def _exists(path: Path) -> bool:
    """Whether something is there; a folder that may not be looked into counts as yes, so that reading it says so."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _xdg(environ: Mapping[str, str], variable: str, default: Path) -> Path:
    """A base folder; a relative one is ignored, as the XDG specification asks."""
    path = Path(environ.get(variable) or default)
    return path if path.is_absolute() else default


def _file_layer(file: ConfigFile) -> Layer:
    layer: Layer = {}
    for table in file.tables:
        if table not in _TABLES:
            raise invalid(file.place(table), table, f"is an unknown table{did_you_mean(table, [*_TABLES, *_BY_KEY])}")
    for key, value in file.values.items():
        if key in _TABLES:
            raise invalid(file.place(key), key, "must be a table, written [" + key + "]")
        if key not in _BY_KEY:
            raise invalid(file.place(key), key, f"is an unknown key{did_you_mean(key, _BY_KEY)}")
        layer[key] = typed(_BY_KEY[key], value, file.place(key))
    return layer


def _variable_layer(environ: Mapping[str, str]) -> Layer:
    return {
        setting.key: check(setting, environ[setting.variable], setting.variable) for setting in SETTINGS
        if environ.get(setting.variable) or (setting.key in (KEY, KEY_FILE) and setting.variable in environ)
    }


def _flag_layer(flags: Mapping[str, object]) -> Layer:
    layer: Layer = {}
    for key, value in flags.items():
        # An empty agent id counts as absent, as at every door; any other empty flag is a mistake and checked as such.
        if value is not None and key != "config" and not (key == "agent_id" and value == ""):
            setting = _BY_KEY[key]
            layer[key] = check(setting, str(value) if isinstance(value, Path) else value, setting.flag or key)
    return layer


def _split_address(layer: Layer) -> None:
    """Turn `bind` into host and port, within the source that gave it: a later source may then override either."""
    bind = layer.pop("bind", None)
    for other in ("host", "port"):
        if bind and other in layer:
            raise InvalidRequest(
                f"{bind.origin} and {layer[other].origin}: bind excludes {other}; give one of them",
                code=Code.CONFIG_INVALID, field="bind")
    if bind:
        found = _ADDRESS.fullmatch(str(bind.value))
        if not found or int(found[3]) > 65_535:
            raise invalid(
                bind.origin, "bind", f"is {bind.value!r:.64}; wanted is HOST:PORT, like 127.0.0.1:9077 or [::1]:9077")
        layer["host"] = Given(value=found[1] or found[2], origin=bind.origin)
        layer["port"] = Given(value=int(found[3]), origin=bind.origin)
    if (host := layer.get("host")) and not _HOST.fullmatch(str(host.value)):
        raise invalid(
            host.origin, "host", f"is {host.value!r:.64}; wanted is a name or an address, like 127.0.0.1 or ::1")


def _file_notices(file: ConfigFile | None) -> Iterable[str]:
    if file and "api_key" in file.values and file.path.stat().st_mode & 0o004:
        yield f"{file.path} holds api_key and is readable by everybody; run: chmod 600 {file.path}"


def _variable_notices(environ: Mapping[str, str]) -> Iterable[str]:
    """Unknown variables of ours. A near miss of the key is an error: it must not leave the door open."""
    known = {setting.variable for setting in SETTINGS} | {variable.name for variable in VARIABLES}
    secrets = [s.variable.removeprefix(_PREFIX) for s in SETTINGS if s.kind is Kind.SECRET]
    for name in sorted(name for name in environ if name.startswith(_PREFIX) and name not in known):
        if hint := did_you_mean(name.removeprefix(_PREFIX), secrets):
            raise invalid("environment", name, f"is an unknown variable{hint.replace('mean ', 'mean ' + _PREFIX)}")
        yield f"{name} is an unknown variable and has no effect"


def _setting_notices(given: Layer) -> Iterable[str]:
    for key, item in given.items():
        if reason := _BY_KEY[key].unused:
            yield f"{subject(item.origin, key)} {reason}"
    yield from model_notices(given)


def _path(text: str, *, cwd: Path, home: Path) -> Path:
    """An absolute path: `~` and `~/x` are the home folder, a relative path starts at `cwd`."""
    if text == "~" or text.startswith("~/"):
        return home / text[2:]
    return cwd / text


def _get(given: Layer, key: str, kind: type[T], default: T) -> T:
    if key not in given:
        return default
    value = given[key].value
    if kind is float and isinstance(value, int):
        value = float(value)
    if not isinstance(value, kind):
        raise Bug(f"setting {key} was checked and is no {kind.__name__}")
    return value


def _positive(given: Layer, key: str, default: int | None) -> int | None:
    """A count where 0 and less mean never."""
    if key not in given:
        return default
    value = _get(given, key, int, 0)
    return value if value > 0 else None


def _database(given: Layer, environ: Mapping[str, str], *, cwd: Path, home: Path) -> Path:
    if "db" in given:
        return _path(_get(given, "db", str, ""), cwd=cwd, home=home)
    local = cwd / "ai-memory.db"
    # A restore that was cut off may have left the new one only, which is still to take its name.
    if local.exists() or local.with_name(local.name + RESTORED_SUFFIX).exists():
        return local
    return _xdg(environ, "XDG_DATA_HOME", home / ".local/share") / "ai-memory" / "ai-memory.db"


def _agent_id(given: Layer) -> str | None:
    if "agent_id" not in given:
        return None
    item = given["agent_id"]
    try:
        return rules.agent_id(str(item.value))
    except InvalidRequest as error:
        sentence = f"{item.origin}: {error.message.removeprefix('agent_id: ')}"
        raise InvalidRequest(sentence, code=Code.CONFIG_INVALID, field="agent_id") from None


def _slices(
    given: Layer, environ: Mapping[str, str], *, cwd: Path, home: Path, notices: tuple[str, ...], listed: Path | None
) -> Config:
    model_dir, api = _get(given, "model_dir", str, ""), _api(given)
    named = {key: credential_in(str(given[key].value), environ) for key in FILE_KEYS if key in given}
    tls = tls_of(given, {key: _path(text, cwd=cwd, home=home) for key, text in named.items()})
    mesh = mesh_of(given, api, tls, listed)
    return Config(
        store=_store(given, _database(given, environ, cwd=cwd, home=home)),
        search=SearchConfig(
            tier=tier_of(given), scoring=_scoring(given),
            model_dir=_path(model_dir, cwd=cwd, home=home) if model_dir else None,
            embedding=embedding_of(given), embed_url=embed_url_of(given)),
        language=language_of(given),
        lifetimes=_lifetimes(given),
        governance=GovernanceConfig(pending_expiry_s=_get(given, "governance.pending_expiry_days", float, 7.0) * DAY_S),
        curator=CuratorConfig(
            archive_on_gc=_get(given, "archive_on_gc", bool, True),
            archive_max_days=_positive(given, "archive_max_days", None),
            cycle_interval_s=_positive(given, "curator.interval_secs", None),
            max_ops=_get(given, "curator.max_ops", int, 100)),
        api=api,
        mesh=mesh,
        tls=tls,
        consistency=_get(given, "consistency", str, "") or None,
        events=_events(given),
        audit=_audit(given),
        limits=_limits(given),
        mcp=McpConfig(profile=McpProfile(_get(given, "mcp_profile", str, McpProfile.CORE))),
        identity=IdentityConfig(
            agent_id=_agent_id(given), anonymize=_get(given, "identity.anonymize_default", bool, False),
            agent_key=key if (key := _get(given, "api_key", str, "")) and key_id_of(key) else None),
        log=LogConfig(
            level=LogLevel(_get(given, "log_level", str, LogLevel.INFO)),
            format=LogFormat(_get(given, "log_format", str, LogFormat.TEXT))),
        notices=(*notices, *mesh_notices(given, mesh), *tls_notices(tls, mesh)),
    )


def _store(given: Layer, db: Path) -> StoreConfig:
    return StoreConfig(
        db=db, named_by=given["db"].origin if "db" in given else "",
        queue_count=_get(given, "store.queue_count", int, 1024),
        group_count=_get(given, "store.group_count", int, 64),
        reader_count=_get(given, "store.reader_count", int, 4),
    )


def _lifetimes(given: Layer) -> Lifetimes:
    plain = Lifetimes()
    return Lifetimes(
        short_ttl_s=_positive(given, "ttl.short_ttl_secs", plain.short_ttl_s),
        mid_ttl_s=_positive(given, "ttl.mid_ttl_secs", plain.mid_ttl_s),
        long_ttl_s=_positive(given, "ttl.long_ttl_secs", plain.long_ttl_s),
        short_extend_s=_get(given, "ttl.short_extend_secs", int, plain.short_extend_s),
        mid_extend_s=_get(given, "ttl.mid_extend_secs", int, plain.mid_extend_s),
    )


def _scoring(given: Layer) -> ScoringConfig:
    plain = ScoringConfig()
    return ScoringConfig(
        half_life_short_days=_get(given, "scoring.half_life_days_short", float, plain.half_life_short_days),
        half_life_mid_days=_get(given, "scoring.half_life_days_mid", float, plain.half_life_mid_days),
        half_life_long_days=_get(given, "scoring.half_life_days_long", float, plain.half_life_long_days),
        decays=not _get(given, "scoring.legacy_scoring", bool, False),
    )


def _audit(given: Layer) -> AuditConfig:
    plain = AuditConfig()
    keep_days = _positive(given, "audit.keep_days", plain.keep_days)
    # Who keeps rows for ever did not mean a million of them.
    keep_count = _positive(given, "audit.keep_count", None if keep_days is None else plain.keep_count)
    return AuditConfig(keep_days=keep_days, keep_count=keep_count)


def _events(given: Layer) -> EventsConfig:
    plain = EventsConfig()
    return EventsConfig(
        keep_count=_get(given, "events.keep_count", int, plain.keep_count),
        keep_days=_get(given, "events.keep_days", int, plain.keep_days),
        private_webhooks=_get(given, "webhooks.allow_private", bool, plain.private_webhooks),
    )


def _limits(given: Layer) -> LimitsConfig:
    return LimitsConfig(
        requests_per_s=_get(given, "limits.requests_per_sec", float, 0.0) or None,
        requests_burst=_positive(given, "limits.requests_burst", None),
        writes_per_min=_positive(given, "limits.writes_per_min", None),
        writes_burst=_positive(given, "limits.writes_burst", None),
        memories=_positive(given, "limits.memories", None),
        content_bytes=_positive(given, "limits.content_bytes", None),
        spares_operators=_get(given, "limits.spare_operators", bool, False),
    )


def _api(given: Layer) -> ApiConfig:
    plain, key = ApiConfig(), _get(given, "api_key", str, "")
    if key.startswith(AGENT_KEY_PREFIX) and key_id_of(key) is None:
        # Taken for a shared key it would open what it was meant to close.
        raise invalid(
            given["api_key"].origin, "api_key", "begins like an agent's key (aim_...) and is not a whole one; copy it "
            "anew (the value is not shown)")
    return ApiConfig(
        host=_get(given, "host", str, plain.host), port=_get(given, "port", int, plain.port),
        insecure=_get(given, "insecure", bool, plain.insecure),
        api_key=None if not key or key_id_of(key) else key,
        body_max_bytes=_get(given, "body_max_bytes", int, plain.body_max_bytes),
        request_deadline_s=_get(given, "request_deadline_secs", float, float(plain.request_deadline_s)),
        shutdown_grace_s=_get(given, "shutdown_grace_secs", float, float(plain.shutdown_grace_s)),
    )
