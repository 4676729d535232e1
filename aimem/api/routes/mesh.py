"""The mesh: what nodes say to each other, and what the mesh says of itself.

Each handler calls one service function and decides nothing.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from aimem import service
from aimem.api.route import Access, Call, Effect, Route
from aimem.errors import Code
from aimem.wire import (
    SYNC_BODY_MAX_BYTES,
    CatchUpRequest,
    ExchangeAnswer,
    ExchangeRequest,
    MeshDocument,
    MeshQuery,
    SinceAnswer,
    SinceQuery,
    SinceRequest,
    WriteOutcome,
    copies,
    legacy,
    protocol_of,
    reloading,
    trusting,
)


def _spoken(data: bytes) -> type[Struct]:
    """What a body is: an exchange names its protocol, which v0.6.3 never did."""
    return ExchangeRequest if protocol_of(data) else legacy.LegacyPush


async def push(call: Call[None, ExchangeRequest | legacy.LegacyPush]) -> ExchangeAnswer | legacy.LegacyPushed:
    """One exchange with a node, or the rows of a node of v0.6.3."""
    if isinstance(call.body, legacy.LegacyPush):
        return await service.take_push(call.node, call.who, call.body)
    return await service.exchange(call.node, call.who, call.body, call.claim)


async def snapshot(call: Call[None, copies.SnapshotRequest]) -> copies.SnapshotAnswer:
    """A page of the whole state."""
    return await service.snapshot_of(call.node, call.who, call.body)


async def embeddings(call: Call[None, copies.EmbeddingsRequest]) -> copies.EmbeddingsAnswer:
    """Vectors of texts."""
    return await service.embeddings_for(call.node, call.who, call.body)


async def range_digest(call: Call[None, copies.DigestRequest]) -> copies.DigestAnswer:
    """The digest of a range of keys."""
    return await service.digest_of(call.node, call.who, call.body)


async def since(call: Call[SinceQuery, None]) -> SinceAnswer | legacy.LegacySince:
    """What follows a position of the log, or a moment."""
    if call.query.clock is None:
        return await service.rows_since(call.node, call.who, call.query)
    return await service.changes_since(call.node, call.who, call.query)


async def lacking(call: Call[None, SinceRequest]) -> SinceAnswer:
    """What somebody with a vector lacks."""
    return await service.changes_for(call.node, call.who, call.body)


async def mesh(call: Call[MeshQuery, None]) -> MeshDocument:
    """The mesh as this node sees it."""
    return await service.mesh_status(call.node, call.who, call.query)


async def catch_up(call: Call[None, CatchUpRequest | None]) -> MeshDocument:
    """Exchange with the peers now."""
    return await service.catch_up(call.node, call.who, call.body or CatchUpRequest())


async def verify(call: Call[None, copies.VerifyRequest]) -> copies.VerifyAnswer:
    """Compare with a peer."""
    return await service.verify(call.node, call.who, call.body)


async def trust(call: Call[None, trusting.TrustRequest]) -> trusting.TrustAnswer:
    """Say who a node is."""
    return await service.trust_node(call.node, call.who, call.body)


async def reload(call: Call[None, None]) -> reloading.ReloadAnswer:
    """Read the configuration anew."""
    return await service.reload(call.node, call.who)


async def look(call: Call[None, reloading.LookRequest]) -> reloading.LookedAt:
    """Look who answers at an address."""
    return await service.look_at(call.node, call.who, call.body)


async def rejoin(call: Call[None, reloading.RejoinRequest | None]) -> reloading.RejoinAnswer:
    """Join the mesh anew."""
    return await service.rejoin(call.node, call.who, call.body or reloading.RejoinRequest())


async def outcome(call: Call[None, None]) -> WriteOutcome:
    """What became of a write."""
    return await service.write_outcome(call.node, call.path["version"])


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="POST", path="/api/v1/sync/push", name="sync_push", handler=push, body=ExchangeRequest,
        other_bodies=(legacy.LegacyPush,), read_as=_spoken, body_limit_bytes=SYNC_BODY_MAX_BYTES, answer=ExchangeAnswer,
        other_answers=(legacy.LegacyPushed,), summary="One exchange between nodes; bodies of v0.6.3 are understood.",
        errors=(
            Code.OPERATOR_REQUIRED, Code.PROTOCOL_MISMATCH, Code.PROOF_REQUIRED, Code.FORGED, Code.OTHER_CLUSTER,
            Code.GONE,
        ), effect=Effect.WRITE,
        access=Access.PEER, is_between_nodes=True,
    ),
    Route(
        method="POST", path="/api/v1/sync/snapshot", name="sync_snapshot", handler=snapshot,
        body=copies.SnapshotRequest, body_limit_bytes=SYNC_BODY_MAX_BYTES, answer=copies.SnapshotAnswer,
        summary="A snapshot, chunk by chunk, for a node that is too far behind the log.",
        errors=(Code.OPERATOR_REQUIRED, Code.PROTOCOL_MISMATCH, Code.GONE, Code.STORAGE_FULL),
        access=Access.PEER, is_between_nodes=True,
    ),
    Route(
        method="POST", path="/api/v1/sync/embeddings", name="sync_embeddings", handler=embeddings,
        body=copies.EmbeddingsRequest, answer=copies.EmbeddingsAnswer,
        summary="The vectors of texts that this node wrote, for one that need not make them again.",
        errors=(Code.OPERATOR_REQUIRED, Code.PROTOCOL_MISMATCH), access=Access.PEER, is_between_nodes=True,
    ),
    Route(
        method="POST", path="/api/v1/sync/digests", name="sync_digests", handler=range_digest,
        body=copies.DigestRequest, answer=copies.DigestAnswer,
        summary="The digest of a range of keys, for a node that compares its rows with this one's.",
        errors=(Code.OPERATOR_REQUIRED, Code.PROTOCOL_MISMATCH), access=Access.PEER, is_between_nodes=True,
    ),
    Route(
        method="GET", path="/api/v1/sync/since", name="sync_since", handler=since, query=SinceQuery,
        answer=SinceAnswer, other_answers=(legacy.LegacySince,),
        summary="What follows a position of this node's log; without one, memories updated after a moment.",
        errors=(Code.OPERATOR_REQUIRED, Code.GONE),
        is_between_nodes=True,
    ),
    Route(
        method="POST", path="/api/v1/sync/since", name="sync_since_vector", handler=lacking, body=SinceRequest,
        answer=SinceAnswer, summary="What a vector lacks, in the order of this node's log.",
        errors=(Code.OPERATOR_REQUIRED, Code.GONE),
        is_between_nodes=True,
    ),
    Route(
        method="GET", path="/api/v1/mesh", name="mesh", handler=mesh, query=MeshQuery, answer=MeshDocument,
        summary="The mesh as this node sees it: peers, vectors, lag, conflicts, digests.",
        errors=(Code.OPERATOR_REQUIRED,),
        is_between_nodes=True,
    ),
    Route(
        method="POST", path="/api/v1/mesh", name="catch_up", handler=catch_up, body=CatchUpRequest,
        body_required=False, answer=MeshDocument, summary="Exchange with all peers now, and wait for what they have.",
        errors=(Code.OPERATOR_REQUIRED,), effect=Effect.WRITE,
    ),
    Route(
        method="POST", path="/api/v1/mesh/verify", name="mesh_verify", handler=verify, body=copies.VerifyRequest,
        answer=copies.VerifyAnswer, summary="Compare all objects with a peer's, step by step, and mend what was lost.",
        errors=(Code.OPERATOR_REQUIRED,), effect=Effect.WRITE,
    ),
    Route(
        method="POST", path="/api/v1/mesh/trust", name="mesh_trust", handler=trust, body=trusting.TrustRequest,
        answer=trusting.TrustAnswer, summary="Believe that a node whose key is another is the one of its name.",
        errors=(Code.OPERATOR_REQUIRED, Code.NOT_FOUND), effect=Effect.WRITE,
    ),
    Route(
        method="POST", path="/api/v1/mesh/reload", name="mesh_reload", handler=reload, answer=reloading.ReloadAnswer,
        summary="Read the configuration anew, as SIGHUP does: the members of the mesh, and certificates.",
        errors=(Code.OPERATOR_REQUIRED, Code.CONFIG_INVALID), effect=Effect.WRITE,
    ),
    Route(
        method="POST", path="/api/v1/mesh/look", name="mesh_look", handler=look, body=reloading.LookRequest,
        answer=reloading.LookedAt, summary="Who answers at an address, before it is made a peer's.",
        errors=(Code.OPERATOR_REQUIRED, Code.CONFIG_INVALID),
    ),
    Route(
        method="POST", path="/api/v1/mesh/rejoin", name="mesh_rejoin", handler=rejoin, body=reloading.RejoinRequest,
        body_required=False, answer=reloading.RejoinAnswer,
        summary="Begin a new stream and join the whole state of a peer; and wait a while for it.",
        errors=(Code.OPERATOR_REQUIRED, Code.STREAM_FORKED), effect=Effect.WRITE,
    ),
    Route(
        method="GET", path="/api/v1/writes/{version}", name="write_outcome", handler=outcome, answer=WriteOutcome,
        summary="What became of a write, by its version.",
    ),
)
