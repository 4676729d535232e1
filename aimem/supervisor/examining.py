"""What the doctor looks through: the machine's ports, and the way to a node that never becomes one."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import Final

import httpx

from aimem.client import Client
from aimem.config import Config, EmbeddingModel, LanguageConfig, SearchConfig, TlsConfig
from aimem.language import OllamaModel
from aimem.model import new_memory_id
from aimem.operations import DoctorHolder, DoctorPorts, seen
from aimem.ports import Embedder, lock_hint, run_or_abandon
from aimem.store import LOCK_SUFFIX
from aimem.supervisor.attach import LIMITS, is_served
from aimem.supervisor.credentials import load_credentials
from aimem.supervisor.listeners import is_exposed
from aimem.supervisor.node import KEY_HEADER
from aimem.supervisor.outside import Ports
from aimem.supervisor.place import locate, read_hint

LONG_S: Final = 60.0
"""The doctor bounds each look as a whole, and sooner: an answer that does not come is a finding."""


def doctor_ports(ports: Ports, environ: Mapping[str, str], agent_of: Callable[[Config], str | None]) -> DoctorPorts:
    """The doctor's view of this machine; `agent_of` says who asks the daemon."""
    return DoctorPorts(
        clock=ports.clock, files=ports.files, run=run_or_abandon, is_exposed=_is_exposed,
        read_certificates=partial(_read_certificates, ports),
        open_holder=partial(_open_holder, ports, environ, agent_of),
        open_embedder=partial(_open_embedder, ports), has_language=partial(_has_language, ports),
    )


async def _is_exposed(config: Config) -> bool:
    return config.tls.cert is None and await is_exposed(config.api.host, config.api.port)


def _read_certificates(ports: Ports, tls: TlsConfig) -> seen.Certificates:
    found = load_credentials(tls, ports.files, ports.clock.now())
    return seen.Certificates(own=found.own, listed=found.allowlist)


@contextlib.asynccontextmanager
async def _open_holder(
    ports: Ports, environ: Mapping[str, str], agent_of: Callable[[Config], str | None], config: Config
) -> AsyncIterator[DoctorHolder]:
    """Whoever holds the database, without taking it. Raises: OSError."""
    place = locate(config.store.db, environ)
    hint = await run_or_abandon(partial(lock_hint, place.db.with_name(place.db.name + LOCK_SUFFIX)))
    if hint is None:
        yield DoctorHolder()
        return
    holder = read_hint(hint)
    socket = str(holder.socket or place.socket)
    if not await is_served(socket):
        yield DoctorHolder(words=holder.text)
        return
    key = config.identity.agent_key
    async with httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(uds=socket, limits=LIMITS), base_url="http://localhost", timeout=LONG_S,
        headers={} if key is None else {KEY_HEADER: key},
    ) as http:
        client = Client(http, new_key=partial(new_memory_id, ports.chance.rng))
        yield DoctorHolder(words=holder.text, client=client.for_agent(agent_of(config)))


def _open_embedder(ports: Ports, config: SearchConfig) -> Embedder:
    if config.embedding is EmbeddingModel.NOMIC:
        return ports.open_remote_embedder(config.embed_url)
    return ports.open_embedder(config.model_dir)


async def _has_language(ports: Ports, config: LanguageConfig) -> bool:
    async with httpx.AsyncClient(transport=ports.open_network(), base_url=config.url, timeout=LONG_S) as http:
        return await OllamaModel(http, config.model).available()
