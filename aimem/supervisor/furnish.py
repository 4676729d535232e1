"""A node's rooms, put together: store, services, curator, HTTP app."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Literal

import httpx
import trio

from aimem.api import make_app
from aimem.config import Config, EmbeddingModel, FeatureTier, TlsConfig
from aimem.curator import run_curator, run_cycles
from aimem.language import LanguageModel, OllamaModel
from aimem.ports import Embedder, sqlite
from aimem.replication import Trust, merge_entry
from aimem.search import Recaller
from aimem.service import (
    Limiter,
    Node,
    Policy,
    Sample,
    run_approvals,
    run_events,
    run_expiry,
    run_hooks,
    run_indexer,
    run_language,
    run_naming,
    run_refusals,
    run_touches,
    run_upkeep,
    run_webhooks,
    run_words,
)
from aimem.store import Store, StorePorts, StoreSettings, replacing
from aimem.supervisor.children import Child, OnFailure
from aimem.supervisor.control import Control
from aimem.supervisor.http import HttpServer
from aimem.supervisor.mcpdoor import PATH, McpDoor
from aimem.supervisor.meshing import host_name, make_mesh, mesh_children, node_name, note_writes, settle_writes
from aimem.supervisor.notify import Notifier
from aimem.supervisor.outside import Extent, Ports
from aimem.supervisor.place import Place
from aimem.supervisor.reloading import Reloader, run_reload
from aimem.supervisor.tree import Inside, Plan
from aimem.supervisor.wallet import Wallet
from aimem.webhooks import Reach, Sender
from aimem.wire import TIER_IS_KEYWORD

log = logging.getLogger(__name__)

LANGUAGE_TIMEOUT_S: Final = 60.0    # the model's client bounds each call as a whole; this catches one that hangs


def plan_node(
    config: Config, ports: Ports, place: Place, extent: Extent, control: Control, wallet: Wallet | None = None,
    reread: Callable[[], Config] | None = None, notifier: Notifier | None = None,
) -> Plan:
    """What to start for this configuration; nothing is opened yet.

    Args:
      wallet: its certificates; None for a node that neither shows nor asks for any.
      reread: the configuration as a start would read it now; None where nobody wrote it down. Blocks.
      notifier: hears when the configuration is read anew.
    """
    wallet = wallet or Wallet(TlsConfig(), clock=ports.clock, files=ports.files, threads=ports.threads)
    settings = StoreSettings(
        db=place.db, node=node_name(config), queue_count=config.store.queue_count,
        group_count=config.store.group_count, reader_count=config.store.reader_count,
    )
    store = Store(
        settings,
        StorePorts(
            clock=ports.clock, chance=ports.chance, threads=ports.threads, files=ports.files, merge=merge_entry
        ),
        ports.say,
    )
    folder = place.db.with_name(place.db.name + replacing.VECTORS_SUFFIX)
    furnish = partial(_furnish, config, ports, store, folder, extent, control, wallet, reread, notifier)
    return Plan(
        store=Child(name="store", run=store.run, on_failure=OnFailure.END_NODE),
        still_s=lambda: store.writer_still_s, furnish=furnish,
    )


async def _furnish(
    config: Config, ports: Ports, store: Store, vectors: Path, extent: Extent, control: Control, wallet: Wallet,
    reread: Callable[[], Config] | None, notifier: Notifier | None,
) -> Inside:
    reason = _reason_for_keywords(config, extent)
    recaller = Recaller(threads=ports.threads, embedder=None, reason=reason, folder=vectors)
    trust = _trust(store, ports, wallet)
    mesh = make_mesh(config, ports, store, extent, wallet.peer_tls, trust)
    reloader = Reloader(
        config, wallet, mesh=mesh, extent=extent, note=partial(note_writes, store), threads=ports.threads,
        reread=reread, say=ports.say if reread is None else None, notifier=notifier,
    )
    node = Node(
        store=store, clock=ports.clock, chance=ports.chance, threads=ports.threads, recaller=recaller, mesh=mesh,
        policy=_policy(config, extent, await settle_writes(config, extent, store)), papers=wallet.papers, trust=trust,
        language=_language(config, ports), limiter=Limiter(config.limits), membership=reloader.membership,
    )
    children = [*_always(node, control), *mesh_children(config, ports, node.mesh, wallet.peer_tls, trust)]
    if wallet.is_used or reread is not None:
        children.append(Child(name="reload", run=partial(run_reload, reloader, control), on_failure=OnFailure.RESTART))
    children += _of_the_wallet(node) if wallet.is_used else []
    if not reason:
        run = partial(_run_indexer, node, _makers(config, ports), ports.say)
        children.append(Child(name="indexer", run=run, on_failure=OnFailure.RESTART))
    if node.language is not None and extent.curates:
        children += [
            Child(name="language", run=partial(run_language, node), on_failure=OnFailure.RESTART),
            Child(name="hooks", run=partial(run_hooks, node), on_failure=OnFailure.RESTART),
        ]
    if extent.curates:
        children += _of_the_clock(config, ports, node)
    about = "keyword recall" if reason else "semantic recall"
    mcp = McpDoor(config, chance=ports.chance, threads=ports.threads, host=host_name(config))
    app = make_app(node, config.api, is_stopping=control.stop.is_set, beside={PATH: mcp})
    mcp.lead_to(app)

    def watch(server: HttpServer) -> None:
        node.figures.append(partial(_figures, server, control))

    return Inside(app=app, children=tuple(children), about=about, watch=watch)


def _trust(store: Store, ports: Ports, wallet: Wallet) -> Trust:
    """Whom this node believes; what it shows of itself is what the wallet holds at the time."""
    trust = Trust(store, ports.chance, ports.clock)
    trust.listed = lambda: wallet.credentials.allowlist
    trust.shows = lambda: wallet.papers.spoken
    trust.holds = lambda: wallet.papers.fingerprints
    return trust


def _of_the_clock(config: Config, ports: Ports, node: Node) -> list[Child]:
    """What a node does unasked: it tells subscribers, collects what expired, and curates if it is to."""
    runs = {
        "webhooks": partial(run_webhooks, node, _sender(config, ports)),
        "curator": partial(run_curator, node, config.curator.interval_s),
    }
    if config.curator.cycle_interval_s is not None:
        runs["cycles"] = partial(run_cycles, node, config.curator.cycle_interval_s, config.curator.max_ops)
    return [Child(name=name, run=run, on_failure=OnFailure.RESTART) for name, run in runs.items()]


def _always(node: Node, control: Control) -> list[Child]:
    """The tasks that every node has."""
    return [
        Child(name="refusals", run=partial(run_refusals, node), on_failure=OnFailure.RESTART),
        Child(name="approvals", run=partial(run_approvals, node), on_failure=OnFailure.RESTART),
        Child(name="touches", run=partial(run_touches, node), on_failure=OnFailure.RESTART),
        Child(name="upkeep", run=partial(run_upkeep, node), on_failure=OnFailure.RESTART),
        Child(name="words", run=partial(run_words, node), on_failure=OnFailure.RESTART),
        Child(name="events", run=partial(run_events, node, control.stop), on_failure=OnFailure.RESTART),
    ]


def _of_the_wallet(node: Node) -> list[Child]:
    """What a node with certificates does about them."""
    return [
        Child(name="naming", run=partial(run_naming, node), on_failure=OnFailure.RESTART),
        Child(name="expiry", run=partial(run_expiry, node.papers, node.clock), on_failure=OnFailure.RESTART),
    ]


def _figures(server: HttpServer, control: Control) -> tuple[Sample, ...]:
    """What only the supervisor knows: connections, what the process holds, how often each task was started again."""
    counts = server.counts
    table: tuple[tuple[str, str, Literal["counter", "gauge"], int], ...] = (
        ("ai_memory_http_connections", "Open connections.", "gauge", counts.open),
        ("ai_memory_http_connections_accepted", "Connections accepted.", "counter", counts.accepted),
        ("ai_memory_http_connections_refused", "Connections closed: too many were open.", "counter", counts.refused),
        ("ai_memory_http_connections_failed", "Connections that ended in an error of ours.", "counter", counts.failed),
        ("ai_memory_tls_handshakes_open", "TLS handshakes under way.", "gauge", counts.shaking),
        ("ai_memory_tasks", "Tasks of the process.", "gauge", trio.lowlevel.current_statistics().tasks_living),
    )
    samples = [Sample(name=name, help=text, kind=kind, value=value) for name, text, kind, value in table]
    held_bytes = sqlite.memory_used_bytes()
    if held_bytes is not None:
        samples += [
            Sample(name="ai_memory_sqlite_bytes", help="Memory that SQLite holds.", kind="gauge", value=held_bytes)
        ]
    samples += [
        Sample(
            name="ai_memory_task_restarts", help="Times that a task of the node was started again.", kind="counter",
            value=count, labels=(("task", task),),
        )
        for task, count in control.tally.restarts
    ]
    samples += [
        Sample(
            name="ai_memory_tls_handshakes", help="TLS handshakes by how they ended.", kind="counter", value=count,
            labels=(("result", result),),
        )
        for result, count in counts.handshakes
    ]
    return tuple(samples)


async def _run_indexer(
    node: Node, makers: Sequence[Callable[[], Embedder]], say: Callable[[str], None],
    *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    await run_indexer(node, *makers, task_status=task_status)
    # It ends by itself only without a model: whoever started the node should hear that at once.
    log.warning("recall.by_keyword", extra={"reason": node.recaller.reason})
    say(f"ai-memory: recall is by keyword: {node.recaller.reason}")


def _reason_for_keywords(config: Config, extent: Extent) -> str:
    if config.search.tier is FeatureTier.KEYWORD:
        return TIER_IS_KEYWORD
    return "" if extent.embeds else "this command does not load the embedding model"


def _makers(config: Config, ports: Ports) -> tuple[Callable[[], Embedder], ...]:
    """The embedding models that may serve, the wished one first; the one in this process is always there."""
    local = partial(ports.open_embedder, config.search.model_dir)
    if config.search.embedding is EmbeddingModel.NOMIC:
        return partial(ports.open_remote_embedder, config.search.embed_url), local
    return (local,)


def _language(config: Config, ports: Ports) -> LanguageModel | None:
    if config.language is None:
        return None
    http = httpx.AsyncClient(
        transport=ports.open_network(), base_url=config.language.url, timeout=LANGUAGE_TIMEOUT_S
    )
    return OllamaModel(http, config.language.model)


def _sender(config: Config, ports: Ports) -> Sender:
    reach = Reach.PRIVATE if config.events.private_webhooks else Reach.PUBLIC
    return Sender(ports.open_network(), ports.resolve, reach)


def _policy(config: Config, extent: Extent, served: int) -> Policy:
    return Policy(
        lifetimes=config.lifetimes, archive_on_gc=config.curator.archive_on_gc,
        archive_max_days=config.curator.archive_max_days, audit_keep_days=config.audit.keep_days,
        audit_keep_count=config.audit.keep_count,
        scoring=config.search.scoring,
        events_count=config.events.keep_count, events_days=config.events.keep_days,
        webhooks_private=config.events.private_webhooks,
        open_access=config.api.api_key is None, mutual_tls=config.tls.allowlist is not None,
        body_max_bytes=config.api.body_max_bytes, tier=config.search.tier.value,
        autonomous_hooks=extent.curates and config.language is not None and config.language.hooks,
        curator_interval_s=config.curator.cycle_interval_s if extent.curates else None,
        pending_expiry_s=config.governance.pending_expiry_s, embedding_grace_s=config.mesh.embedding_grace_s,
        served_writes=served,
    )
