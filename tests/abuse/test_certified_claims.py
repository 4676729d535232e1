"""Whoever has a certificate of its own is heard, and speaks for itself alone: what it claims of others is refused."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import trio
import trustme

from aimem.wire import PROTOCOL, ExchangeRequest, encode
from tests.abuse.test_tls import HOST, START_S, Node, node_of
from tests.pki import Issued, client_context, issue, make_ca
from tests.proofs import PUSH, signed
from tests.streams import Author

pytestmark = pytest.mark.slow

FORBIDDEN: Final = 403
AT_START: Final = 2
"""Ops."""
JSON: Final = {"Content-Type": "application/json"}


class Speaker:
    """Somebody with a certificate, who may say anything in anybody's name."""

    def __init__(self, http: httpx.AsyncClient, to: str, certificate: Issued) -> None:
        self.http, self.to, self.fingerprint = http, to, certificate.fingerprint

    async def say(
        self, author: Author, *, body: bytes | None = None, proof: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """An exchange in the name of a stream's writer. Returns: the status, and the code of a refusal."""
        content = exchange(author) if body is None else body
        headers = self.proof(author, content) if proof is None else proof
        return refusal(await self.http.post(PUSH, content=content, headers={**JSON, **headers}))

    def proof(self, author: Author, content: bytes) -> dict[str, str]:
        """What a stream's writer signs who shows this certificate."""
        return signed(author, content, self.to, certificates=(self.fingerprint,))


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, str(answer.json().get("code", ""))


def exchange(author: Author) -> bytes:
    """What a node says that has nothing to hand over."""
    return encode(ExchangeRequest(protocol=PROTOCOL, node=author.name, stream=author.stream))


@contextlib.asynccontextmanager
async def speaking(node: Node, ca: trustme.CA, certificate: Issued, folder: Path) -> AsyncIterator[Speaker]:
    context = client_context(ca, certificate, folder)
    stream = (await document(node))["stream"]
    async with httpx.AsyncClient(base_url=f"https://{HOST}:{node.port}", verify=context, timeout=START_S) as http:
        yield Speaker(http, stream, certificate)


async def document(node: Node) -> Any:
    return (await node.owner.get("/mesh", params={"digest": "true"})).raise_for_status().json()


async def named(node: Node) -> Any:
    """The document of a node that has written what it writes at its start: its stream, and its certificates in it."""
    with trio.fail_after(START_S):
        while True:
            found = await document(node)
            if found["vector"].get(found["stream"], 0) >= AT_START:
                return found
            await trio.sleep(0.05)


async def test_a_certificate_is_good_for_its_own_nodes_claims_alone(tmp_path: Path) -> None:
    ca = make_ca()
    certificates = {name: issue(ca, name) for name in ("node-b", "node-c")}
    b, c, newcomer = Author(1, "node-b"), Author(2, "node-c"), Author(3, "node-b")
    async with node_of(tmp_path, ca, list(certificates.values())) as node:
        digest = (await named(node))["digest"]
        async with (
            speaking(node, ca, certificates["node-b"], tmp_path) as as_b,
            speaking(node, ca, certificates["node-c"], tmp_path) as as_c,
        ):
            assert await as_b.say(b, proof={}) == (FORBIDDEN, "proof_required")
            assert (await as_b.say(b))[0] == 200
            assert (await as_c.say(c))[0] == 200
            # Its own certificate, and another node's name, with a key of its own and with that node's.
            assert await as_c.say(newcomer) == (FORBIDDEN, "certificate_of_another")
            assert await as_c.say(b) == (FORBIDDEN, "certificate_of_another")
            # What it heard the other say, and what the other signed for something else.
            assert await as_c.say(b, proof=as_b.proof(b, exchange(b))) == (FORBIDDEN, "certificate_of_another")
            assert await as_b.say(b, proof=as_b.proof(c, exchange(b))) == (FORBIDDEN, "certificate_of_another")
            assert await as_b.say(b, proof=as_b.proof(b, exchange(c))) == (FORBIDDEN, "proof_wrong")
            assert await as_b.say(b, proof=signed(b, exchange(b), c.stream)) == (409, "wrong_node")
            assert await as_b.say(b, body=exchange(c)) == (FORBIDDEN, "proof_required")
            # None of it changed who is who.
            assert (await as_b.say(b))[0] == 200
            assert (await as_c.say(c))[0] == 200
        assert (await document(node))["digest"] == digest


async def test_a_certificate_opens_the_routes_between_nodes_and_no_others_once_agents_have_keys(tmp_path: Path) -> None:
    ca = make_ca()
    certificate = issue(ca, "node-b")
    b = Author(1, "node-b")
    async with node_of(tmp_path, ca, [certificate]) as node:
        (await node.owner.post("/agents", json={"agent_id": "alice", "agent_type": "human"})).raise_for_status()
        (await node.owner.post("/agents/keys", json={"agent_id": "alice"})).raise_for_status()
        async with speaking(node, ca, certificate, tmp_path) as as_b:
            assert (await as_b.say(b))[0] == 200
            assert refusal(await as_b.http.get("/api/v1/mesh")) == (FORBIDDEN, "proof_required")
            assert refusal(await as_b.http.post("/api/v1/sync/snapshot", json={"protocol": PROTOCOL})) == (
                FORBIDDEN, "proof_required"
            )
            old = b'{"sender_agent_id": "alice", "sender_clock": {}, "memories": [], "deletions": ["0123"]}'
            assert refusal(await as_b.http.post(PUSH, content=old, headers=JSON)) == (FORBIDDEN, "proof_required")
            assert await as_b.say(b, body=old) == (FORBIDDEN, "operator_required")
            for path in ("memories", "search?q=x", "stats", "export", "agents", "namespaces", "pending", "audit"):
                assert (await as_b.http.get(f"/api/v1/{path}")).status_code == 401, path
            assert (await as_b.http.post("/api/v1/memories", json={"content": "x", "title": "y"})).status_code == 401
