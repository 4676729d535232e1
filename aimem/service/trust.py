"""Who the other nodes are: judging whoever signs a request, and an operator's word about somebody set up anew."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import Final

import trio

from aimem.errors import Code, Conflict, Denied, InvalidRequest
from aimem.model import Credential, NodeClaim, Principal, Shown, StreamId, format_instant
from aimem.replication import (
    KNOWN_OTHERWISE,
    RequestProof,
    ask_untrusted,
    is_sound_request,
    shared_names,
    trust_command,
)
from aimem.service.callers import require_operator
from aimem.service.keyring import AccessMode, access_mode
from aimem.service.node import Node
from aimem.service.refusals import Claim, note_refusal
from aimem.store import AuditRow, Transaction, audit, pins
from aimem.wire import MeshDocument, trusting

KEY_MIN_CHARS: Final = 8
KEY_CHARS: Final = 64
OPEN_TEXT: Final = (
    "the mesh is open: whoever reaches the port reads and writes everything; give the nodes certificates "
    "(--mtls-allowlist) or an api_key"
)
NODE_CREDENTIAL: Final = "node"
"""In the audit: somebody who signed as a node."""


class MeshAccess(StrEnum):
    """What opens the routes between nodes."""

    MTLS = "mtls"
    KEYS = "keys"
    OPEN = "open"


def refuse_wrong_proof(node: Node, proof: RequestProof, method: str, target: str, body: bytes) -> None:
    """See that the key of a request signed just this one. Raises: Denied(proof_wrong)."""
    if not is_sound_request(proof, method, target, body):
        node.trust.counts.wrong_proofs += 1
        error = Denied(
            "the signature under the request is of something else: it was changed on its way, or its asker does not "
            "have the key", code=Code.PROOF_WRONG, field="X-Aimem-Proof",
        )
        _note(node, proof, error)
        raise error


def refuse_unsigned(who: Principal, claim: NodeClaim | None) -> None:
    """Where keys are asked for, a certificate takes a key's place for nodes alone, which sign what they ask.

    Raises: Denied(proof_required).
    """
    if who.credential is Credential.CERTIFICATE and claim is None:
        raise Denied(
            "a certificate alone opens this route to nodes, which sign their requests; others send a key "
            "(X-API-Key)", code=Code.PROOF_REQUIRED,
        )


async def admit_claim(node: Node, proof: RequestProof, shown: Shown) -> None:
    """See that a request is meant for this node, and that its signer is who it says.

    Raises: Conflict(wrong_node) naming the stream that this node writes; Denied; Unavailable, Corrupt.
    """
    stream = node.store.stream
    if proof.to != stream:
        raise Conflict(
            f"this request is meant for another node; this one writes {stream}", code=Code.WRONG_NODE, stream=stream
        )
    try:
        await node.trust.admit(proof.claim, shown)
    except Denied as error:
        _note(node, proof, error)
        raise


def _note(node: Node, proof: RequestProof, error: Denied) -> None:
    error.is_noted = True
    stranger = Claim(agent_id=f"node:{proof.claim.node}", credential=NODE_CREDENTIAL)
    note_refusal(node, stranger, action="sync", rule=error.code, target=proof.claim.stream)


async def trust_node(node: Node, who: Principal, request: trusting.TrustRequest) -> trusting.TrustAnswer:
    """Believe a key under a name that is known here by another one; on this node alone.

    Raises: NotFound, InvalidRequest, Denied(operator_required), Unavailable.
    """
    require_operator(who, "saying who a node is")
    key = None if request.key is None else request.key.strip().lower()
    if key is not None and not (KEY_MIN_CHARS <= len(key) <= KEY_CHARS and set(key) <= set("0123456789abcdef")):
        raise InvalidRequest(
            f"key is the beginning of a node's key: {KEY_MIN_CHARS} to {KEY_CHARS} hex digits", field="key"
        )
    row = AuditRow(
        at=node.clock.now(), agent_id=who.agent_id, credential=who.credential.value, action="mesh_trust",
        decision=audit.ALLOWED, target=request.node,
    )
    trusted = await node.trust.accept(request.node, key, partial(_append, row))
    if node.mesh is not None:
        ask_untrusted(node.mesh, trio.current_time())
    return trusting.TrustAnswer(node=trusted.node, known_key=trusted.known_key, key=trusted.key)


def _append(row: AuditRow, transaction: Transaction) -> None:
    audit.append(transaction.conn, [row])


async def note_trust(node: Node, document: MeshDocument) -> None:
    """Add to the mesh's document who is believed to be whom. Raises: Unavailable, Corrupt."""
    document.mesh_access, document.untrusted = access_of(node, await access_mode(node)), untrusted(node)
    document.key = node.store.identity.signer.public_key.hex()
    for peer in document.peers:
        pin = node.trust.pin_of(peer.node)
        if pin is not None:
            peer.key, peer.fingerprints = pin.keys[0], pin.certificates
        if peer.stream:
            peer.named = await node.store.read(pins.certificates_named, StreamId(peer.stream))


def trust_alarms(node: Node) -> list[str]:
    """What a person must look at: who comes under the name of another node, believed or not."""
    unbelieved = [
        f"node {name!r} comes with the certificate by which node {one.holder!r} is known here: if its key begins with "
        f"{one.key[:KEY_MIN_CHARS]} and the certificate is its own, run `{trust_command(name)}`; else give one of the "
        "two another (`ai-memory pki issue`)" if one.holder else
        f"somebody comes as node {name!r} with another key than the one known here: if it was set up anew, run "
        f"`{trust_command(name)}`" for name, one in sorted(node.trust.waiting.items())
    ]
    return _refused_alarms(node) + unbelieved + [
        f"two nodes run as {name!r}, one of them on a copy of the other's files: stop the copy, take its file DB.node "
        "away, and start it again under a --node-name of its own" for name in shared_names(_answering(node))
    ]


def _refused_alarms(node: Node) -> list[str]:
    """What only this node can show: that others refuse it, as after the loss of its key; it gets nothing meanwhile."""
    peers = () if node.mesh is None else node.mesh.peers
    refusing = [peer.url for peer in peers if peer.state.failures and KNOWN_OTHERWISE in peer.state.last_error]
    if not refusing:
        return []
    alarm = (
        f"this node was known by another key to {', '.join(refusing)}, and gets nothing there: if it was set up anew, "
        f"run `{trust_command(node.store.node_name)}` there"
    )
    return [alarm]


def _answering(node: Node) -> dict[StreamId, str]:
    """This node and the peers that answer, by the streams that they write now."""
    mesh, names = node.mesh, {node.store.stream: node.store.node_name}
    for peer in () if mesh is None else mesh.peers:
        state = peer.state
        if state.stream is not None and not state.failures and mesh is not None and state.stream not in mesh.moves.left:
            names[state.stream] = state.node
    return names


def untrusted(node: Node) -> tuple[trusting.UntrustedOut, ...]:
    """Who waits for an operator's word, by name."""
    return tuple(
        trusting.UntrustedOut(
            node=one.node, key=one.key, known_key=one.known_key, certificate=one.shown.fingerprint,
            refused_at=format_instant(one.at),
        )
        for _, one in sorted(node.trust.waiting.items())
    )


def access_of(node: Node, access: AccessMode) -> MeshAccess:
    """What opens the routes between nodes, by what callers are asked for."""
    if node.policy.mutual_tls:
        return MeshAccess.MTLS
    return MeshAccess.OPEN if access is AccessMode.OPEN else MeshAccess.KEYS
