"""The doctor ends in time whatever hangs, and what fails is a finding and not its end."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from aimem.client import Client
from aimem.config import ApiConfig, Config, LanguageConfig, SearchConfig, StoreConfig, TlsConfig
from aimem.errors import AimemError, Denied, InvalidRequest, Unavailable
from aimem.operations import DoctorHolder, DoctorPorts, run_doctor
from aimem.operations.doctor import LOOK_S, MODEL_S
from aimem.operations.seen import Certificates
from aimem.ports import Embedder, run_or_abandon, system_files
from aimem.wire.doctor import DoctorOut, Kind, Section, Severity
from tests.nodes import START, FakeClock, WordEmbedder, open_store

T = TypeVar("T")


async def inline(fn: Callable[[], T]) -> T:
    return fn()


async def private(config: Config) -> bool:
    return False


async def has_model(config: LanguageConfig) -> bool:
    return True


@contextlib.asynccontextmanager
async def nobody(config: Config) -> AsyncIterator[DoctorHolder]:
    yield DoctorHolder()


def ports(**changes: object) -> DoctorPorts:
    made = DoctorPorts(
        clock=FakeClock(START), files=system_files(), run=inline, is_exposed=private,
        read_certificates=lambda tls: Certificates(), open_holder=nobody,
        open_embedder=lambda search: WordEmbedder(), has_language=has_model,
    )
    return replace(made, **changes)


def config_of(db: Path) -> Config:
    return Config(
        store=StoreConfig(db=db, named_by="--db"), search=SearchConfig(),
        language=LanguageConfig(url="http://localhost:11434", model="gemma"),
    )


@pytest.fixture
async def config(tmp_path: Path) -> Config:
    async with open_store(tmp_path / "memory.db") as store:
        assert store.stream
    return config_of(tmp_path / "memory.db")


def kinds(found: DoctorOut) -> dict[Kind, Severity]:
    return {one.kind: one.severity for section in found.sections for one in section.findings}


async def hangs_for_ever(*_: object) -> bool:
    await trio.sleep_forever()
    return True


@contextlib.asynccontextmanager
async def hanging_holder(config: Config) -> AsyncIterator[DoctorHolder]:
    await trio.sleep_forever()
    yield DoctorHolder()


@contextlib.asynccontextmanager
async def silent_holder(config: Config) -> AsyncIterator[DoctorHolder]:
    async def keep_silent(request: httpx.Request) -> httpx.Response:
        await trio.sleep_forever()
        return httpx.Response(200)

    async with httpx.AsyncClient(transport=httpx.MockTransport(keep_silent), base_url="http://node") as http:
        yield DoctorHolder(words="process 7", client=Client(http, new_key=lambda: "key"))


@contextlib.asynccontextmanager
async def closed_holder(config: Config) -> AsyncIterator[DoctorHolder]:
    def refuse(request: httpx.Request) -> httpx.Response:
        return httpx.Response(403, json={"error": "this needs an operator", "code": "denied"})

    async with httpx.AsyncClient(transport=httpx.MockTransport(refuse), base_url="http://node") as http:
        yield DoctorHolder(words="process 7", client=Client(http, new_key=lambda: "key"))


def failing(error: AimemError) -> Callable[[object], Embedder]:
    def open_it(_: object) -> Embedder:
        raise error

    return open_it


async def test_a_node_that_is_well_and_serves_nobody_has_notes_alone(config: Config) -> None:
    found = await run_doctor(ports(), lambda: config)
    assert kinds(found) == {Kind.NO_BACKUP: Severity.INFO, Kind.NO_DAEMON: Severity.INFO}


async def test_nothing_beside_the_database_is_made_or_changed(config: Config) -> None:
    def state() -> dict[str, tuple[int, int]]:
        folder = config.store.db.parent
        return {path.name: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.iterdir()}

    before = state()
    await run_doctor(ports(), lambda: config)
    assert state() == before
    assert "memory.db" in before


async def test_settings_that_cannot_be_read_are_all_that_is_told() -> None:
    def reread() -> Config:
        raise InvalidRequest("config.toml, line 3: x is an unknown key")

    found = await run_doctor(ports(), reread)
    assert [section.section for section in found.sections] == [Section.CONFIGURATION]
    assert (kinds(found), found.db) == ({Kind.CONFIG_INVALID: Severity.CRITICAL}, "")


async def test_an_address_that_is_none_hides_nothing_else(config: Config) -> None:
    async def refuses(_: Config) -> bool:
        raise InvalidRequest("cannot listen on 'x'")

    found = await run_doctor(ports(is_exposed=refuses), lambda: replace(config, api=ApiConfig(host="x")))
    assert kinds(found)[Kind.CONFIG_INVALID] is Severity.CRITICAL
    assert [section.section for section in found.sections] == list(Section)


@pytest.mark.parametrize(("section", "changes", "bound_s"), [
    (Section.CONFIGURATION, {"is_exposed": hangs_for_ever}, LOOK_S),
    (Section.DAEMON, {"open_holder": hanging_holder}, LOOK_S),
    (Section.MODEL, {"has_language": hangs_for_ever}, MODEL_S),
])
def test_what_hangs_is_given_up_and_a_finding(
    section: Section, changes: dict[str, object], bound_s: float, tmp_path: Path
) -> None:
    async def look() -> tuple[DoctorOut, float]:
        begun = trio.current_time()
        found = await run_doctor(ports(**changes), lambda: config_of(tmp_path / "memory.db"))
        return found, trio.current_time() - begun

    found, took_s = trio.run(look, clock=MockClock(autojump_threshold=0))
    [told] = [one for one in found.sections if one.section is section]
    assert [(one.kind, one.severity) for one in told.findings] == [(Kind.CHECK_HANGS, Severity.CRITICAL)]
    assert bound_s <= took_s < bound_s + 1


def test_a_daemon_that_takes_a_question_and_never_answers_is_named(tmp_path: Path) -> None:
    async def look() -> DoctorOut:
        return await run_doctor(ports(open_holder=silent_holder), lambda: config_of(tmp_path / "memory.db"))

    found = trio.run(look, clock=MockClock(autojump_threshold=0))
    [told] = [one for one in found.sections if one.section is Section.DAEMON]
    assert [(one.kind, one.severity) for one in told.findings] == [(Kind.DAEMON_SILENT, Severity.CRITICAL)]
    assert told.findings[0].seen.startswith("process 7 ")


def test_a_thread_that_hangs_keeps_nobody(tmp_path: Path) -> None:
    released = threading.Event()

    def hang() -> Config:
        released.wait()
        return config_of(tmp_path)

    async def look() -> DoctorOut:
        with trio.fail_after(60):
            return await run_doctor(ports(run=run_or_abandon), hang)

    try:
        found = trio.run(look, clock=MockClock(rate=100))
    finally:
        released.set()
    assert list(kinds(found)) == [Kind.CHECK_HANGS]


async def test_models_that_are_away_are_named(config: Config) -> None:
    async def lacks(_: LanguageConfig) -> bool:
        return False

    away = failing(Unavailable("the model folder /m has no model.onnx"))
    found = await run_doctor(ports(open_embedder=away, has_language=lacks), lambda: config)
    [model] = [one for one in found.sections if one.section is Section.MODEL]
    assert [one.kind for one in model.findings] == [Kind.MODEL_AWAY, Kind.LANGUAGE_AWAY]
    assert "run: ollama pull gemma" in model.findings[1].seen


async def test_a_daemon_that_refuses_to_tell_is_a_finding_of_its_own(config: Config) -> None:
    found = await run_doctor(ports(open_holder=closed_holder), lambda: config)
    assert kinds(found)[Kind.CHECK_FAILED] is Severity.WARNING


async def test_certificates_that_cannot_be_used_are_named(config: Config) -> None:
    def refuse(tls: TlsConfig) -> Certificates:
        raise InvalidRequest("--tls-key: a.key is not the key of a.pem")

    found = await run_doctor(ports(read_certificates=refuse), lambda: config)
    assert kinds(found)[Kind.CERTIFICATE_UNUSABLE] is Severity.CRITICAL


async def test_a_refusal_to_look_is_no_damage(config: Config) -> None:
    def refuse(tls: TlsConfig) -> Certificates:
        raise Denied("no")

    found = await run_doctor(ports(read_certificates=refuse), lambda: config)
    assert kinds(found)[Kind.CHECK_FAILED] is Severity.WARNING
