"""The mesh over HTTP: exchanges, bodies of v0.6.3, bad bodies, and the headers that have to do with other nodes."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from aimem.service import Node
from aimem.store import digest
from aimem.store.digests import DIGEST_FORMAT
from aimem.wire import PROTOCOL, SYNC_BODY_MAX_BYTES, ExchangeRequest, encode, op_out
from tests.api.test_routes import client_of
from tests.nodes import FakeClock, open_node
from tests.proofs import signed
from tests.streams import Author

JSON = {"Content-Type": "application/json"}
PACKED = {**JSON, "Content-Encoding": "gzip"}
ROW = {"title": "Tide", "content": "High water at noon.", "tier": "long", "namespace": "sea"}


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with open_node(tmp_path / "memory.db", clock=FakeClock()) as opened:
        yield opened


@pytest.fixture
async def http(node: Node) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(node) as client:
        yield client


def exchange_of(author: Author, **fields: object) -> bytes:
    request = ExchangeRequest(
        protocol=PROTOCOL, node=author.name, stream=author.stream, ops=tuple(map(op_out, author.ops)),
        **fields,  # type: ignore[arg-type]
    )
    return encode(request)


async def test_an_exchange_is_taken_plain_or_packed_and_answered_with_what_is_known(
    http: httpx.AsyncClient, node: Node
) -> None:
    other = Author(5)
    other.memory("m1")
    body = exchange_of(other)
    proof = signed(other, body, node.store.stream)
    answer = await http.post("/sync/push", content=body, headers={**JSON, **proof})
    assert answer.status_code == 200
    assert answer.json()["taken"] == 2
    assert answer.json()["vector"][other.stream][0] == 2
    again = await http.post("/sync/push", content=gzip.compress(body), headers={**PACKED, **proof})
    assert (again.status_code, again.json()["taken"]) == (200, 0)


@pytest.mark.parametrize(("body", "headers", "status", "code"), [
    (b"{", JSON, 400, "malformed_json"),
    (b'{"protocol": 1, "node": "x", "stream": "x"}', JSON, 400, "protocol_mismatch"),
    (b'{"protocol": 2, "node": "x", "stream": "x"}', JSON, 422, "schema_mismatch"),
    (b'{"protocol": 2, "stream": "x"}', JSON, 422, "schema_mismatch"),
    (exchange_of(Author(5)), JSON, 403, "proof_required"),
    (exchange_of(Author(5)), {**JSON, "X-Aimem-Key": "ab"}, 422, "schema_mismatch"),
    (exchange_of(Author(5)), {**JSON, **signed(Author(5), b"another", "")}, 403, "proof_wrong"),
    (exchange_of(Author(5)), {**JSON, **signed(Author(5), exchange_of(Author(5)), "")}, 409, "wrong_node"),
    (b'{"sender_agent_id": "x"}', JSON, 422, "schema_mismatch"),
    (b'{"sender_agent_id": "a b", "memories": []}', JSON, 400, "invalid_request"),
    (b"not gzip", PACKED, 400, "malformed_json"),
    (gzip.compress(b"{}")[:-3], PACKED, 400, "malformed_json"),
    (gzip.compress(bytes(SYNC_BODY_MAX_BYTES + 1)), PACKED, 413, "body_too_large"),
    (b"x", {**JSON, "Content-Encoding": "br"}, 415, "unsupported_media_type"),
    (bytes(SYNC_BODY_MAX_BYTES + 1), JSON, 413, "body_too_large"),
], ids=[
    "no JSON", "another protocol", "no stream", "no node", "not signed", "half a proof", "another's signature",
    "for another node", "no memories", "no agent", "not packed", "broken off", "packed, too large", "packed otherwise",
    "too large",
])
async def test_a_bad_body_has_its_answer_and_changes_nothing(
    http: httpx.AsyncClient, node: Node, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    before = await node.store.read(digest)
    answer = await http.post("/sync/push", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await node.store.read(digest) == before


async def test_a_body_of_v063_becomes_writes_of_this_node(http: httpx.AsyncClient, node: Node) -> None:
    kept = (await http.post("/memories", json=ROW)).json()["id"]
    gone = (await http.post("/memories", json={**ROW, "title": "Ebb"})).json()["id"]
    row = {**ROW, "id": "00000000-0000-4000-8000-000000000001", "title": "Flood", "metadata": {"agent_id": "bob"},
           "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}
    body = {
        "sender_agent_id": "host:n1", "sender_clock": {"entries": {}}, "memories": [row],
        "deletions": [gone, "unknown-id"],
        "links": [
            {"source_id": row["id"], "target_id": kept, "relation": "related_to", "created_at": "2026-01-01T00:00:00Z"}
        ],
        "pendings": [{"id": "p"}], "pending_decisions": [{"id": "p", "approved": True, "decider": "eve"}],
    }
    answer = (await http.post("/sync/push", json=body)).json()
    assert {name: answer[name] for name in ("applied", "deleted", "noop", "skipped", "links_applied")} == {
        "applied": 1, "deleted": 1, "noop": 2, "skipped": 1, "links_applied": 1,
    }
    shown = (await http.get(f"/memories/{row['id']}")).json()
    assert (shown["title"], shown["metadata"]["agent_id"]) == ("Flood", "bob")
    assert (await http.get(f"/memories/{gone}")).status_code == 404
    again = (await http.post("/sync/push", json={**body, "deletions": []})).json()
    assert (again["applied"], again["noop"]) == (0, 3)


async def test_a_deleted_memory_does_not_come_back_from_a_node_of_v063(http: httpx.AsyncClient) -> None:
    stored = (await http.post("/memories", json=ROW)).json()
    await http.delete(f"/memories/{stored['id']}")
    row = {**ROW, "id": stored["id"], "updated_at": "2027-01-15T08:00:00Z", "created_at": "2026-01-01T00:00:00Z"}
    answer = (await http.post("/sync/push", json={"sender_agent_id": "x", "memories": [row]})).json()
    assert (answer["applied"], answer["skipped"]) == (0, 1)
    assert (await http.get("/memories")).json()["count"] == 0


async def test_a_dry_run_of_v063_changes_nothing(http: httpx.AsyncClient, node: Node) -> None:
    before = await node.store.read(digest)
    body = {"sender_agent_id": "x", "memories": [ROW], "deletions": ["some-id"], "dry_run": True}
    answer = (await http.post("/sync/push", json=body)).json()
    assert (answer["applied"], answer["noop"], answer["dry_run"]) == (0, 2, True)
    assert await node.store.read(digest) == before


async def test_what_follows_a_position_has_ops_of_every_kind_and_without_one_memories(http: httpx.AsyncClient) -> None:
    for title in ("a", "b", "c"):
        stored = (await http.post("/memories", json={**ROW, "title": title})).json()
    await http.delete(f"/memories/{stored['id']}")
    page = (await http.get("/sync/since", params={"clock": 1, "limit": 2})).json()
    rest = (await http.get("/sync/since", params={"clock": page["clock"], "log": page["log"]})).json()
    assert [op["kind"] for op in (*page["ops"], *rest["ops"])] == ["store", "store", "store", "delete"]
    assert (page["more"], rest["more"]) == (True, False)
    gone = await http.get("/sync/since", params={"clock": 99})
    assert (gone.status_code, gone.json()["code"]) == (410, "gone")
    assert gone.json()["snapshot"] == "/api/v1/sync/snapshot"
    assert gone.json()["last"] >= gone.json()["first"] == 1
    rows = (await http.get("/sync/since", params={"since": "2020-01-01T00:00:00Z", "limit": 1})).json()
    assert ([row["title"] for row in rows["memories"]], rows["count"], rows["limit"]) == (["a"], 1, 1)
    assert rows["earliest_updated_at"] == rows["latest_updated_at"] == rows["memories"][0]["updated_at"]
    after = (await http.get("/sync/since", params={"since": rows["latest_updated_at"]})).json()
    assert [row["title"] for row in after["memories"]] == ["b"]
    assert (await http.get("/sync/since", params={"since": "yesterday"})).status_code == 400
    lacking = (await http.post("/sync/since", json={"vector": {page["log"]: 4}})).json()
    assert [op["kind"] for op in lacking["ops"]] == ["delete"]


async def test_a_read_waits_for_a_version_and_a_write_says_how_many_nodes_it_waits_for(http: httpx.AsyncClient) -> None:
    stored = (await http.post("/memories", json=ROW, headers={"X-Consistency": "all"})).json()
    seen = {"X-Min-Version": stored["version"]}
    assert (await http.get("/memories", headers=seen)).json()["count"] == 1
    assert (await http.get("/memories", headers={"X-Min-Version": "nonsense"})).status_code == 400
    assert (await http.post("/memories", json=ROW, headers={"X-Consistency": "most"})).status_code == 400
    outcome = (await http.get(f"/writes/{stored['version']}")).json()
    assert (outcome["outcome"], outcome["got"], outcome["needed"]) == ("applied", 1, 1)
    stream, _, seq = stored["version"].partition(":")
    assert (await http.get(f"/writes/{stream}:{int(seq) + 1}")).json()["outcome"] == "unknown"


async def test_a_node_alone_is_a_mesh_of_one(http: httpx.AsyncClient) -> None:
    document = (await http.get("/mesh", params={"digest": "true", "verify": "true", "conflicts": 5})).json()
    assert (document["members"], document["writes"], document["peers"]) == (1, 1, [])
    assert (document["verified"], document["conflicts"], document["alarms"]) == ([], [], [])
    refused = await http.post("/mesh", json={"peers": ["http://n1"]})
    assert (refused.status_code, refused.json()["field"]) == (400, "peers")
    assert not [line for line in (await http.get("/metrics")).text.splitlines() if "ai_memory_mesh" in line]


async def test_an_exchange_says_which_ops_are_lacking_and_large_answers_come_packed(
    http: httpx.AsyncClient, node: Node
) -> None:
    for number in range(30):
        await http.post("/memories", json={**ROW, "title": f"t{number}", "content": "x" * 2000})
    other = Author(5)
    body = exchange_of(other, wants=512)
    proof = signed(other, body, node.store.stream)
    answer = await http.post("/sync/push", content=body, headers={**JSON, **proof})
    assert answer.headers["content-encoding"] == "gzip"
    assert len(json.loads(answer.content)["ops"]) == 32


async def test_the_whole_state_is_given_page_by_page(http: httpx.AsyncClient, node: Node) -> None:
    stored = (await http.post("/memories", json=ROW)).json()
    first = (await http.post("/sync/snapshot", json={"protocol": PROTOCOL})).json()
    assert first["vector"][node.store.stream][0] == 2
    assert first["after"] is None
    [memory] = [one for one in first["objects"] if one[0] == "memory"]
    assert (memory[1], memory[5]["content"][1]) == (stored["id"], ROW["content"])
    for body, code in (
        ({"protocol": 9}, "protocol_mismatch"), ({"protocol": PROTOCOL, "after": "x"}, "invalid_request"),
    ):
        assert (await http.post("/sync/snapshot", json=body)).json()["code"] == code


async def test_vectors_are_given_by_the_hashes_of_texts(http: httpx.AsyncClient, node: Node) -> None:
    body: dict[str, object] = {"protocol": PROTOCOL, "model": "none", "hashes": ["AAAA"]}
    answer = await http.post("/sync/embeddings", json=body)
    assert (answer.status_code, answer.json()) == (
        200, {"protocol": PROTOCOL, "model": "none", "found": [], "missing": ["AAAA"]}
    )
    other = (await http.post("/sync/embeddings", json={**body, "model": "words/1"})).json()
    assert (other["model"], other["missing"]) == ("none", ["AAAA"])
    for wrong, status, code in (
        ({"protocol": 9}, 400, "protocol_mismatch"), ({"hashes": []}, 400, "invalid_request"),
        ({"hashes": ["no base64!"]}, 422, "schema_mismatch"), ({"model": 7}, 422, "schema_mismatch"),
    ):
        refused = await http.post("/sync/embeddings", json={**body, **wrong})
        assert (refused.status_code, refused.json()["code"]) == (status, code)


async def test_the_digest_of_a_range_lists_its_objects_to_those_alone_who_have_others(http: httpx.AsyncClient) -> None:
    stored = (await http.post("/memories", json=ROW)).json()
    whole = {"protocol": PROTOCOL, "format": DIGEST_FORMAT}
    other = (await http.post("/sync/digests", json=whole)).json()
    assert (other["until"], len(other["objects"])) == (None, 2)
    assert other["objects"][0][:2] == ["memory", [stored["id"]]]
    equal = (await http.post("/sync/digests", json={**whole, "digest": other["digest"]})).json()
    assert (equal["digest"], equal["objects"]) == (other["digest"], [])
    behind = {**whole, "after": json.dumps(["memory", [stored["id"]]])}
    assert [one[0] for one in (await http.post("/sync/digests", json=behind)).json()["objects"]] == ["stream"]


@pytest.mark.parametrize(("body", "status", "code"), [
    ({"protocol": 9, "format": DIGEST_FORMAT}, 400, "protocol_mismatch"),
    ({"protocol": PROTOCOL, "format": 1}, 400, "invalid_request"),
    ({"protocol": PROTOCOL, "format": DIGEST_FORMAT, "after": '["memory", []]'}, 400, "invalid_request"),
    ({"protocol": PROTOCOL, "format": DIGEST_FORMAT, "until": "x"}, 400, "invalid_request"),
    ({"protocol": PROTOCOL}, 422, "schema_mismatch"),
])
async def test_a_range_that_is_none_is_refused(
    http: httpx.AsyncClient, body: dict[str, object], status: int, code: str
) -> None:
    refused = await http.post("/sync/digests", json=body)
    assert (refused.status_code, refused.json()["code"]) == (status, code)


async def test_objects_are_told_by_name_those_too_of_which_nothing_is_known(http: httpx.AsyncClient) -> None:
    ids = [(await http.post("/memories", json={**ROW, "title": title})).json()["id"] for title in "ab"]
    link = json.dumps([*ids, "related_to"], separators=(",", ":"))
    await http.post("/links", json={"source_id": ids[0], "target_id": ids[1], "relation": "related_to"})
    await http.delete(f"/memories/{ids[1]}")
    named = [["memory", ids[0]], ["memory", "unknown"], ["link", link]]
    page = (await http.post("/sync/snapshot", json={"protocol": PROTOCOL, "named": named})).json()
    assert [one[:2] for one in page["objects"]] == named
    assert [bool(one[5]) for one in page["objects"]] == [True, False, False]
    assert (page["ended"], page["after"]) == ([2], None)
    for strange in (["dream", "d"], ["link", "no key of a link"]):
        refused = await http.post("/sync/snapshot", json={"protocol": PROTOCOL, "named": [strange]})
        assert (refused.status_code, refused.json()["field"]) == (400, "named")


async def test_a_node_compares_itself_with_its_peers_alone(http: httpx.AsyncClient) -> None:
    refused = await http.post("/mesh/verify", json={"peer": "http://n1"})
    assert (refused.status_code, refused.json()["field"]) == (400, "peer")
