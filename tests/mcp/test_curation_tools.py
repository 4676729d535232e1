"""The tools that change many memories at once: what each asks, and what it answers."""

from __future__ import annotations

import pytest

from aimem.errors import InvalidRequest, NotFound
from aimem.wire import ConsolidateRequest, ForgetRequest, Forgotten, ForgottenMemory
from tests.mcp.test_tools import answer, request, run


async def test_forget_passes_every_filter(client):
    given = {"namespace": "a", "pattern": "old plans", "tier": "short"}
    done = await answer(client, "memory_forget", **given)
    assert client.calls == [("forget", [request(ForgetRequest, **given)], "me")]
    assert done == {
        "deleted": 2, "archived": True, "dry_run": False, "more": False, "forget_id": "f1", "version": "s:3",
    }


async def test_a_dry_run_counts_and_names(client):
    named = ForgottenMemory(id="a", title="T", namespace="n", tier="mid")
    client.answers["forget"] = Forgotten(deleted=0, archived=True, dry_run=True, would_delete=1, memories=(named,))
    done = await answer(client, "memory_forget", tier="mid", dry_run=True)
    assert (done["would_delete"], done["dry_run"], done["memories"][0]["id"]) == (1, True, "a")


async def test_undo_goes_through(client):
    await run(client, "memory_forget", undo="f1")
    assert client.calls == [("forget", [request(ForgetRequest, undo="f1")], "me")]


@pytest.mark.parametrize(("arguments", "field"), [
    ({"tier": "shrot", "namespace": "a"}, "tier"), ({"namespace": 3}, "namespace"), ({"dry_run": "yes"}, "dry_run"),
    ({"namespaces": "a"}, "namespaces"),
])
async def test_an_argument_that_cannot_be_meant_so_forgets_nothing(client, arguments, field):
    with pytest.raises(InvalidRequest) as refused:
        await run(client, "memory_forget", **arguments)
    assert refused.value.field == field
    assert client.calls == []


async def test_consolidate_passes_everything_and_has_the_defaults_of_old(client):
    made = await answer(client, "memory_consolidate", ids=["a", "b"], title="T", summary="S")
    given = {"ids": ["a", "b"], "title": "T", "summary": "S"}
    assert client.calls == [("consolidate", [request(ConsolidateRequest, **given)], "me")]
    assert (made["id"], made["consolidated"], made["tier"]) == ("9c", 2, "long")


async def test_a_refusal_of_the_node_is_the_tools(client):
    client.answers["consolidate"] = NotFound("not found: no memory has the id 'b'", field="ids[1]")
    with pytest.raises(NotFound):
        await run(client, "memory_consolidate", ids=["a", "b"], title="T", summary="S")
