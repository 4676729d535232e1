"""Policies and standards travel with an export, and an import widens nothing unasked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aimem import service
from aimem.errors import Code
from aimem.model import Principal
from aimem.service import Node
from aimem.store import digest
from aimem.wire import ImportRequest, ImportResult, decode_body, encode
from tests.nodes import FakeClock
from tests.service.steps import ALICE, BOB, another_node, put, refused
from tests.service.test_rulemaking import ANYBODY, OPERATOR, agent, held, rule

EARLY = "2020-01-01T00:00:00Z"


async def bring(node: Node, *rows: dict[str, Any], by: Principal = OPERATOR, **fields: Any) -> ImportResult:
    body = {"memories": [], "namespaces": rows, "trust_source": True, **fields}
    return await service.import_memories(node, by, decode_body(ImportRequest, encode(body)))


async def test_what_is_set_comes_with_the_memories(node: Node, clock: FakeClock, tmp_path: Path) -> None:
    await rule(node, "*", governance={"write": "registered", "policy": "owner"})
    await rule(node, "acme", governance={"write": "owner"}, content="Be kind.")
    await rule(node, "acme/x", governance={"write": "approve"}, parent="law")
    async with another_node(tmp_path, clock) as other:
        exported = await service.export(node, ALICE)
        rows = {"memories": exported.memories, "namespaces": exported.namespaces, "trust_source": True}
        request = decode_body(ImportRequest, encode(rows))
        first = await service.import_memories(other, BOB, request)
        assert (first.errors, first.namespaces_imported) == ((), 3)
        assert (await service.export(other, ALICE)).digest == exported.digest
        for namespace in ("*", "acme", "acme/x"):
            assert await held(other, namespace) == await held(node, namespace)
        await refused(Code.DENIED_BY_POLICY, put(other, "t", by=BOB, namespace="acme"))
        again = await service.import_memories(other, BOB, request)
        assert (again.namespaces_imported, again.errors) == (0, ())


async def test_the_later_setting_wins(node: Node) -> None:
    await rule(node, "acme", governance=ANYBODY)
    early = await bring(node, {"namespace": "acme", "governance": '{"write": "owner"}', "changed_at": EARLY})
    assert early.namespaces_imported == 0
    assert (await held(node, "acme")).governance is not None
    undated = await bring(node, {"namespace": "acme", "governance": '{"write": "owner"}', "owner": "bob"})
    assert (undated.namespaces_imported, (await held(node, "acme")).owner) == (1, "bob")


async def test_without_trust_no_policy_is_taken(node: Node) -> None:
    row = {"namespace": "acme", "governance": '{"write": "any"}'}
    before = await node.store.read(digest)
    assert (await bring(node, row, trust_source=False)).skipped == 1
    await refused(Code.OPERATOR_REQUIRED, bring(node, row, by=agent("carol", "acme")))
    assert await node.store.read(digest) == before


async def test_a_policy_here_governs_what_an_import_sets(node: Node) -> None:
    await rule(node, "acme", governance={"write": "any", "policy": "owner"})
    row = {"namespace": "acme", "governance": '{"write": "any", "policy": "any"}'}
    assert [one.code for one in (await bring(node, row, by=BOB)).refused] == [Code.DENIED_BY_POLICY]
    await rule(node, "acme", governance={"write": "any", "policy": "approve"})
    assert [one.code for one in (await bring(node, row)).refused] == [Code.APPROVAL_REQUIRED]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"namespace": "acme", "governance": "{"}, Code.MALFORMED_POLICY),
        ({"namespace": "acme", "governance": '{"write": "all"}'}, Code.MALFORMED_POLICY),
        ({"namespace": "a//b"}, Code.INVALID_REQUEST), ({"namespace": "_agents"}, Code.RESERVED_NAMESPACE),
        ({"namespace": "acme", "owner": "a b"}, Code.INVALID_REQUEST),
        ({"namespace": "acme", "changed_by": "a b"}, Code.INVALID_REQUEST),
        ({"namespace": "acme", "standard_id": "a\0"}, Code.INVALID_REQUEST),
        ({"namespace": "acme", "parent": "/"}, Code.INVALID_REQUEST),
        ({"namespace": "acme", "changed_at": "soon"}, Code.INVALID_REQUEST),
        ({"namespace": "acme", "changed_at": "9999-01-01T00:00:00Z"}, Code.INVALID_REQUEST),
    ],
)
async def test_a_bad_row_is_refused_by_itself(node: Node, row: dict[str, Any], code: Code) -> None:
    found = await bring(node, row, {"namespace": "free", "governance": '{"write": "any"}'})
    assert [(one.section, one.position, one.code) for one in found.refused] == [("namespaces", 0, code)]
    assert found.namespaces_imported == 1


async def test_who_does_not_see_everything_exports_no_policies(node: Node) -> None:
    await rule(node, "acme", governance=ANYBODY)
    assert (await service.export(node, agent("carol", "acme"))).namespaces == ()
    assert len((await service.export(node, OPERATOR)).namespaces) == 1
