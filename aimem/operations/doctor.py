"""The doctor: looks at a node and its machine, with a bound on each look, and says what was found."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Final, Protocol, TypeVar

import trio
from msgspec import Struct
from msgspec.structs import replace

from aimem.client import Client
from aimem.config import Config, FeatureTier, LanguageConfig, SearchConfig, TlsConfig
from aimem.errors import AimemError, Unavailable
from aimem.language import missing_model
from aimem.operations.examined import examined
from aimem.operations.looking import look_at_database, look_at_disk, readable_keys
from aimem.operations.seen import Answers, Certificates, Daemon, Database, Models, Seen, Settings, Unseen
from aimem.ports import Clock, Embedder, Files
from aimem.wire import doctor

T = TypeVar("T")

LOOK_S: Final = 10.0
ANSWERS_S: Final = 8.0
"""For what the daemon says: less than for the whole look, so that one that hangs is told from a look that does."""

MODEL_S: Final = 30.0
"""A look that takes longer is given up: what hangs is a finding. Loading the model takes half a second, reading it from
a cold disk some more."""

QUICK_S: Final = 5.0
"""Of the look at the database; a large one is looked at in part."""


class Run(Protocol):
    """Runs a blocking function in a thread that is left behind if the caller is cancelled."""

    async def __call__(self, fn: Callable[[], T]) -> T:
        """Whatever the function returns or raises."""
        ...


class DoctorHolder(Struct, frozen=True, kw_only=True):
    """Who holds a database: in words, empty if nobody does; `client` asks it, if it answers on its socket."""

    words: str = ""
    client: Client | None = None


class DoctorPorts(Struct, frozen=True, kw_only=True):
    """What the doctor looks through.

    Attributes:
      is_exposed: whether other machines reach the address to listen on, and no TLS is there. Raises: AimemError.
      read_certificates: blocks. Raises: InvalidRequest.
      open_holder: never becomes the holder itself.
      open_embedder: finds or loads what makes vectors; blocks. Raises: AimemError.
      has_language: whether the server has the language model. Raises: AimemError if it does not say.
    """

    clock: Clock
    files: Files
    run: Run
    is_exposed: Callable[[Config], Awaitable[bool]]
    read_certificates: Callable[[TlsConfig], Certificates]
    open_holder: Callable[[Config], AbstractAsyncContextManager[DoctorHolder]]
    open_embedder: Callable[[SearchConfig], Embedder]
    has_language: Callable[[LanguageConfig], Awaitable[bool]]


async def run_doctor(ports: DoctorPorts, reread: Callable[[], Config]) -> doctor.DoctorOut:
    """Look at everything, one thing after the other.

    Args:
      reread: the configuration as a start would read it; blocks. Raises: InvalidRequest.
    """
    settings = await _bounded(partial(_settings, ports, reread), LOOK_S)
    if isinstance(settings, Unseen):
        return examined(Seen(now=ports.clock.now(), settings=settings))
    config = settings.config
    daemon = await _bounded(partial(_daemon, ports, config), LOOK_S)
    is_held = isinstance(daemon, Unseen) or bool(daemon.holder)
    look_at_folder = partial(look_at_disk, config.store.db, is_held=is_held)
    return examined(Seen(
        now=ports.clock.now(), settings=settings, daemon=daemon,
        disk=await _bounded(partial(ports.run, look_at_folder), LOOK_S),
        database=await _bounded(partial(_database, ports, config, is_held), LOOK_S),
        certificates=await _bounded(partial(ports.run, partial(ports.read_certificates, config.tls)), LOOK_S),
        models=await _bounded(partial(_models, ports, config), MODEL_S),
    ))


async def _bounded(look: Callable[[], Awaitable[T]], limit_s: float) -> T | Unseen:
    """What a look sees, or why it sees nothing."""
    try:
        with trio.fail_after(limit_s):
            return await look()
    except trio.TooSlowError:
        return Unseen(after_s=limit_s)
    except AimemError as error:
        return Unseen(why=error.message, family=error.family)
    except OSError as error:
        return Unseen(why=f"{error.filename or 'it'} cannot be looked at: {error.strerror or error}")


async def _settings(ports: DoctorPorts, reread: Callable[[], Config]) -> Settings:
    config = await ports.run(partial(_read_settings, reread))
    seen = Settings(config=config, readable_keys=await ports.run(partial(readable_keys, config.store.db)))
    try:
        return replace(seen, is_exposed=await ports.is_exposed(config))
    except AimemError as error:
        return replace(seen, host_fault=error.message)


def _read_settings(reread: Callable[[], Config]) -> Config:
    """As a start would read them, and the database by its real name: lock, log and key lie beside that."""
    config = reread()
    return replace(config, store=replace(config.store, db=Path(os.path.realpath(config.store.db))))


async def _daemon(ports: DoctorPorts, config: Config) -> Daemon:
    async with ports.open_holder(config) as holder:
        client, answers = holder.client, None
        if client is not None:
            with trio.move_on_after(ANSWERS_S):
                answers = Answers(
                    health=await client.health(), index=await client.index_status(), mesh=await client.mesh()
                )
        return Daemon(holder=holder.words, answers=answers)


async def _database(ports: DoctorPorts, config: Config, is_held: bool) -> Database:  # noqa: FBT001
    until = trio.current_time() + QUICK_S
    clock = trio.lowlevel.current_clock()
    store = config.store
    seen = await ports.run(partial(
        look_at_database, ports.files, store.db, lambda: clock.current_time() > until, is_held=is_held
    ))
    return replace(seen, is_named=bool(store.named_by))


async def _models(ports: DoctorPorts, config: Config) -> Models:
    seen = Models()
    if config.search.tier is not FeatureTier.KEYWORD:
        try:
            name = await ports.run(partial(_embed, ports, config.search))
            seen = replace(seen, embedding=name)
        except Unavailable as error:
            seen = replace(seen, embedding_away=error.message)
    if config.language is not None:
        seen = replace(seen, language=config.language.model)
        try:
            if not await ports.has_language(config.language):
                seen = replace(seen, language_away=missing_model(config.language.model).message)
        except Unavailable as error:
            seen = replace(seen, language_away=error.message)
    return seen


def _embed(ports: DoctorPorts, config: SearchConfig) -> str:
    """The name of what makes vectors, after it made one."""
    embedder = ports.open_embedder(config)
    embedder.embed(["word"])
    return embedder.model
