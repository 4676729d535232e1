"""Where settings come from, which source wins, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from aimem.config import SETTINGS, ApiConfig, Config, FeatureTier, Kind, LimitsConfig, LogFormat, load_config
from aimem.errors import Code, InvalidRequest
from aimem.model import Lifetimes, key_text


class Place:
    """A machine of its own: working folder, home and /etc under one temporary folder."""

    def __init__(self, root: Path) -> None:
        self.cwd, self.home, self.etc = root / "work", root / "home", root / "etc"
        for folder in (self.cwd, self.home, self.etc):
            folder.mkdir()

    def load(self, flags: Mapping[str, object] | None = None, environ: Mapping[str, str] | None = None) -> Config:
        return load_config(flags or {}, environ or {}, cwd=self.cwd, home=self.home, etc=self.etc)

    def write(self, text: str, *, folder: Path | None = None) -> Path:
        path = (folder or self.home / ".config") / "ai-memory" / "config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
        return path

    def refusal(self, text: str = "", flags: Mapping[str, object] | None = None, **environ: str) -> str:
        if text:
            self.write(text)
        with pytest.raises(InvalidRequest) as caught:
            self.load(flags, environ)
        assert caught.value.code is Code.CONFIG_INVALID
        return caught.value.message


@pytest.fixture
def place(tmp_path: Path) -> Place:
    root = tmp_path / "place"
    root.mkdir()
    return Place(root)


def test_without_any_source_every_slice_has_its_default_and_nothing_is_created(place: Place) -> None:
    config = place.load()
    assert config.api == ApiConfig()
    assert config.lifetimes == Lifetimes()
    assert config.search.tier is FeatureTier.SEMANTIC
    assert config.store.db == place.home / ".local/share/ai-memory/ai-memory.db"
    assert config.notices == ()
    assert list(place.home.iterdir()) == list(place.cwd.iterdir()) == []


def test_a_flag_beats_a_variable_and_a_variable_beats_the_file(place: Place) -> None:
    place.write("port = 1001\nlog_format = 'json'\nhost = 'filehost'\n")
    config = place.load({"port": "1003"}, {"AI_MEMORY_PORT": "1002", "AI_MEMORY_HOST": "envhost"})
    assert (config.api.port, config.api.host, config.log.format) == (1003, "envhost", LogFormat.JSON)


def test_the_first_configuration_file_that_exists_is_read(place: Place, tmp_path: Path) -> None:
    place.write("port = 1", folder=place.etc)
    assert place.load().api.port == 1
    place.write("port = 2")
    assert place.load().api.port == 2
    place.write("port = 3", folder=tmp_path / "xdg")
    assert place.load({}, {"XDG_CONFIG_HOME": str(tmp_path / "xdg")}).api.port == 3
    named = place.write("port = 4", folder=tmp_path / "named")
    assert place.load({}, {"AI_MEMORY_CONFIG": str(named)}).api.port == 4
    other = place.write("port = 5", folder=tmp_path / "other")
    assert place.load({"config": str(other)}, {"AI_MEMORY_CONFIG": str(named)}).api.port == 5


def test_a_relative_base_folder_is_ignored(place: Place) -> None:
    place.write("port = 2")
    assert place.load({}, {"XDG_CONFIG_HOME": "xdg", "XDG_DATA_HOME": "data"}).api.port == 2


def test_no_config_skips_the_file_even_when_the_variable_is_empty(place: Place) -> None:
    broken = place.write("this is not toml")
    assert place.load({}, {"AI_MEMORY_NO_CONFIG": "", "AI_MEMORY_CONFIG": str(broken)}).api == ApiConfig()


def test_a_named_file_must_exist(place: Place) -> None:
    assert "no such configuration file" in place.refusal(flags={"config": "missing.toml"})
    assert "no such configuration file" in place.refusal(AI_MEMORY_CONFIG="missing.toml")
    assert "cannot be read: File name too long" in place.refusal(flags={"config": "a" * 300})


@pytest.mark.parametrize(("make", "expected"), [
    (lambda place: None, "home/.local/share/ai-memory/ai-memory.db"),
    (lambda place: (place.cwd / "ai-memory.db").touch(), "work/ai-memory.db"),
    (lambda place: (place.cwd / "ai-memory.db.restored").touch(), "work/ai-memory.db"),     # a restore was cut off
])
def test_the_database_is_the_local_file_if_it_exists_else_in_the_data_folder(place, make, expected) -> None:  # type: ignore[no-untyped-def]
    make(place)
    assert place.load().store.db == place.cwd.parent / expected


def test_the_database_of_a_flag_beats_variable_file_and_local_file(place: Place) -> None:
    (place.cwd / "ai-memory.db").touch()
    place.write("db = '~/mine.db'")
    assert place.load().store.db == place.home / "mine.db"
    assert place.load({}, {"AI_MEMORY_DB": "env.db"}).store.db == place.cwd / "env.db"
    assert place.load({"db": "ai-memory.db"}, {"AI_MEMORY_DB": "env.db"}).store.db == place.cwd / "ai-memory.db"
    assert place.load({"db": "/tmp/x.db"}, {"AI_MEMORY_DB": "env.db"}).store.db == Path("/tmp/x.db")
    assert place.load({}, {"AI_MEMORY_NO_CONFIG": "1", "XDG_DATA_HOME": "/data"}).store.db == place.cwd / "ai-memory.db"


def test_xdg_data_home_moves_the_default_database(place: Place) -> None:
    assert place.load({}, {"XDG_DATA_HOME": "/data"}).store.db == Path("/data/ai-memory/ai-memory.db")


@pytest.mark.parametrize(("text", "expected"), [
    ("port = 'x'", "line 1: port is 'x'; wanted is an integer, 0 to 65535"),
    ("\nport = 70000", "line 2: port is 70000; allowed is 0 to 65535"),
    ("port = true", "port is True; wanted is an integer"),
    ("port = 1.0", "port is 1.0; wanted is an integer"),
    ("insecure = 'yes'", "insecure is 'yes'; wanted is true or false"),
    ("insecure = 1", "insecure is 1; wanted is true or false"),
    ("api_kye = 'x'", "line 1: api_kye is an unknown key; did you mean api_key?"),
    ("colour = 'x'", "colour is an unknown key"),
    ("tier = 'semantik'", "allowed are keyword, semantic, smart, autonomous; did you mean semantic?"),
    ("# a\n[ttl]\nshort_ttl_secs = 999999999", "line 3: ttl.short_ttl_secs is 999999999; allowed is at most 315360000"),
    ("ttl.mid_extend_secs = -1", "line 1: ttl.mid_extend_secs is -1"),
    ("[tll]\nshort_ttl_secs = 1", "line 1: tll is an unknown table; did you mean ttl?"),
    ("ttl = 5", "line 1: ttl must be a table, written [ttl]"),
    ("[[ttl]]\n", "ttl must be a table"),
    ("[ttl.deep]\nx = 1", "ttl.deep is an unknown key"),
    ("port = 1\nport = 2", "line 2"),
    ("# a\nport = " + "9" * 5000, "is not TOML: Exceeds the limit"),
    ("port = \n", "line 1, column 8, key port: the configuration file is not TOML"),
    ("bind = '127.0.0.1'", "bind is '127.0.0.1'; wanted is HOST:PORT"),
    ("bind = '127.0.0.1:70000'", "wanted is HOST:PORT"),
    ("bind = 'a:1'\nport = 2", "bind excludes port"),
    ("host = 'a b'", "host is 'a b'; wanted is a name or an address"),
    ("db = ''", "db is empty"),
    ("db = \"a\\u0000b\"", "control characters are not allowed"),
    ("[scoring]\nhalf_life_days_short = nan", "allowed is 0.1 to 36500"),
    ("[scoring]\nhalf_life_days_mid = 0", "allowed is 0.1 to 36500"),
    ("agent_id = 'a b'", "is an invalid agent id"),
    ("log_level = 'loud'", "allowed are debug, info, warning, error"),
    ("max_memory_mb = 'much'", "wanted is an integer"),
])
def test_a_bad_file_is_refused_naming_line_and_key(place: Place, text: str, expected: str) -> None:
    message = place.refusal(text)
    assert expected in message
    assert str(place.home / ".config/ai-memory/config.toml") in message


def test_a_broken_key_is_refused_and_never_shown(place: Place) -> None:
    for value in ("''", "12345678", "' s3cret'", "'s3cret", '"s3cr\\u00e9t"'):
        message = place.refusal(f"api_key = {value}")
        assert "api_key" in message
        assert "s3cr" not in message
        assert "12345678" not in message


@pytest.mark.parametrize(("environ", "expected"), [
    ({"AI_MEMORY_PORT": "x"}, "AI_MEMORY_PORT is 'x'; wanted is an integer"),
    ({"AI_MEMORY_INSECURE": "maybe"}, "AI_MEMORY_INSECURE is 'maybe'; wanted is true or false"),
    ({"AI_MEMORY_API_KEY": ""}, "AI_MEMORY_API_KEY must be 1 to 1024"),
    ({"AI_MEMORY_APIKEY": "k"}, "AI_MEMORY_APIKEY is an unknown variable; did you mean AI_MEMORY_API_KEY?"),
    ({"AI_MEMORY_BIND": "[::1]:1", "AI_MEMORY_HOST": "::1"}, "AI_MEMORY_BIND and AI_MEMORY_HOST: bind excludes host"),
    ({"AI_MEMORY_REQUEST_DEADLINE_SECS": "inf"}, "allowed is 0.1 to 3600"),
    ({"AI_MEMORY_TIER": "huge"}, "AI_MEMORY_TIER is 'huge'; allowed are keyword, semantic, smart, autonomous"),
])
def test_a_bad_variable_is_refused_by_name(place: Place, environ: dict[str, str], expected: str) -> None:
    assert expected in place.refusal("", None, **environ)


def test_an_unreadable_or_binary_file_is_an_error(place: Place) -> None:
    path = place.write("x")
    path.write_bytes(b"port = 1\n# \xff\n")
    assert f"{path}, line 2: the configuration file is not UTF-8" in place.refusal()
    path.unlink()
    path.mkdir()
    assert "cannot be read" in place.refusal()


def test_a_pipe_is_refused_at_once_as_it_could_not_be_read_again(place: Place, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)     # nobody writes to it: whoever opened it as a file would wait for ever
    assert "it is a pipe" in place.refusal(flags={"config": str(pipe)})
    assert "it is a pipe" in place.refusal(flags={"mesh.quorum_peers": f"@{pipe}"})
    assert place.load({"config": "/dev/null"}).mesh == place.load().mesh


def test_an_empty_variable_counts_as_absent(place: Place) -> None:
    assert place.load({"agent_id": ""}, {"AI_MEMORY_PORT": "", "AI_MEMORY_DB": ""}).api.port == 9077


def test_bind_of_a_later_source_replaces_host_and_port_of_an_earlier_one(place: Place) -> None:
    place.write("host = 'filehost'\nport = 1")
    config = place.load({"bind": "[::1]:80"}, {"AI_MEMORY_PORT": "2"})
    assert (config.api.host, config.api.port) == ("::1", 80)
    config = place.load({"port": "3"}, {"AI_MEMORY_BIND": "0.0.0.0:80"})
    assert (config.api.host, config.api.port) == ("0.0.0.0", 3)


@pytest.mark.parametrize(("value", "lifetime"), [(0, None), (-5, None), (60, 60), (315_360_000, 315_360_000)])
def test_a_lifetime_of_zero_or_less_is_for_ever(place: Place, value: int, lifetime: int | None) -> None:
    place.write(f"[ttl]\nshort_ttl_secs = {value}\nlong_ttl_secs = {value}\n")
    lifetimes = place.load().lifetimes
    assert (lifetimes.short_ttl_s, lifetimes.mid_ttl_s, lifetimes.long_ttl_s) == (lifetime, 604_800, lifetime)


def test_keys_that_nothing_uses_are_accepted_with_a_notice(place: Place) -> None:
    path = place.write("max_memory_mb = 5\ncross_encoder = true\n")
    assert place.load().notices == (
        f"{path}, line 1: max_memory_mb has no effect, as in v0.6.3",
        f"{path}, line 2: cross_encoder has no effect, as in v0.6.3",
    )


def test_an_unknown_variable_of_ours_is_a_notice(place: Place) -> None:
    assert place.load({}, {"AI_MEMORY_BIN": "/x", "OTHER": "y"}).notices == (
        "AI_MEMORY_BIN is an unknown variable and has no effect",)


def test_a_key_in_a_file_that_everybody_reads_is_a_notice(place: Place) -> None:
    path = place.write("api_key = 'k'")
    assert place.load().notices == ()
    path.chmod(0o644)
    assert "readable by everybody" in place.load().notices[0]


def test_an_agents_key_says_who_one_is_and_is_no_shared_key(place: Place) -> None:
    key = key_text("0123456789abcdef", bytes(32))
    for config in (place.load({}, {"AI_MEMORY_API_KEY": key}), (place.write(f"api_key = '{key}'"), place.load())[1]):
        assert (config.identity.agent_key, config.api.api_key) == (key, None)
    shared = place.load({}, {"AI_MEMORY_API_KEY": "k"})
    assert (shared.identity.agent_key, shared.api.api_key) == (None, "k")


def test_half_an_agents_key_is_refused_and_never_shown(place: Place) -> None:
    for text in ("aim_12", key_text("0123456789abcdef", bytes(32))[:-1], "aim_0123456789ABCDEF_" + "s" * 43):
        message = place.refusal(f"api_key = '{text}'")
        assert "not a whole one" in message
        assert text not in message


def test_every_setting_can_be_written_in_the_file_and_in_the_environment(place: Place) -> None:
    samples = {Kind.TEXT: "x", Kind.SECRET: "k", Kind.PATH: "/p", Kind.ADDRESS: "h:1", Kind.SWITCH: "true",
               Kind.URL: "http://h:1", Kind.URLS: "http://h:1"}
    for setting in SETTINGS:
        if setting.kind is Kind.PATH and setting.key.startswith(("tls.", "mesh.", "api_key")):
            continue    # none of these stands alone: test_tls.py, test_keyfile.py
        number = str(int(max(setting.low or 0, 1)) if setting.low != 1024 else 1024)
        text = setting.choices[0] if setting.choices else samples.get(setting.kind, number)
        place.load({}, {setting.variable: text})
        bare = setting.kind in (Kind.INTEGER, Kind.NUMBER, Kind.SWITCH)
        place.write(f"{setting.key} = {text}" if bare else f"{setting.key} = '{text}'")
        place.load()


def test_the_table_names_each_key_variable_and_flag_once() -> None:
    for names in ([s.key for s in SETTINGS], [s.variable for s in SETTINGS], [s.flag for s in SETTINGS if s.flag]):
        assert len(names) == len(set(names))


@pytest.mark.parametrize(("text", "interval_s", "max_ops"), [
    ("", None, 100), ("[curator]\ninterval_secs = 0\n", None, 100),
    ("[curator]\ninterval_secs = 3600\nmax_ops = 7\n", 3600, 7),
])
def test_cycles_of_the_curator_come_only_if_they_are_asked_for(
    place: Place, text: str, interval_s: float | None, max_ops: int
) -> None:
    place.write(text)
    curator = place.load().curator
    assert (curator.cycle_interval_s, curator.max_ops) == (interval_s, max_ops)


@pytest.mark.parametrize(("text", "expiry_s"), [
    ("", 604_800), ("[governance]\npending_expiry_days = 1\n", 86_400),
    ("[governance]\npending_expiry_days = 0.5\n", 43_200),
])
def test_an_action_waits_for_its_approval_as_long_as_is_configured(place: Place, text: str, expiry_s: float) -> None:
    place.write(text)
    assert place.load().governance.pending_expiry_s == expiry_s


@pytest.mark.parametrize("text", ["0", "-1", "366", '"a week"', "true", "nan", "inf"])
def test_an_action_waits_some_time_and_not_for_ever(place: Place, text: str) -> None:
    place.write(f"[governance]\npending_expiry_days = {text}\n")
    with pytest.raises(InvalidRequest, match="pending_expiry_days"):
        place.load()


def test_agents_are_limited_only_where_that_is_asked_for(place: Place) -> None:
    place.write("[limits]\nrequests_per_sec = 0\nmemories = 0\n")
    assert place.load().limits == LimitsConfig()
    place.write("[limits]\nrequests_per_sec = 50\nwrites_per_min = 600\nmemories = 9\nspare_operators = true\n")
    limits = place.load().limits
    assert (limits.requests_per_s, limits.requests_at_once) == (50, 100)
    assert (limits.writes_per_s, limits.writes_at_once) == (10, 100)
    assert (limits.memories, limits.content_bytes, limits.spares_operators) == (9, None, True)
    assert place.load({"limits.memories": 5}).limits.memories == 5


@pytest.mark.parametrize(("text", "expected"), [
    ("", (365, 1_000_000)), ("[audit]\nkeep_days = 30\n", (30, 1_000_000)), ("[audit]\nkeep_days = 0\n", (None, None)),
    ("[audit]\nkeep_days = 0\nkeep_count = 5000\n", (None, 5000)), ("[audit]\nkeep_count = 0\n", (365, None)),
])
def test_the_audit_is_kept_by_days_and_count_and_for_ever_if_asked(
    place: Place, text: str, expected: tuple[int | None, int | None]
) -> None:
    place.write(text)
    audit = place.load().audit
    assert (audit.keep_days, audit.keep_count) == expected
