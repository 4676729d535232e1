"""Answers that are kept for retries: as they were, however large, and in little room."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from aimem.ports import Connection
from aimem.store import Transaction, idempotency
from aimem.store.idempotency import PACKED_FROM_BYTES
from tests.nodes import InlineThreads, open_store

LARGE = msgspec.json.encode([{"index": index, "action": "created"} for index in range(1000)])
AT_THE_EDGE = b'"' + b"x" * (PACKED_FROM_BYTES - 2) + b'"'


def _note(transaction: Transaction, answer: bytes) -> None:
    idempotency.note(transaction, "scope", "key", b"hash", answer)


def _kept_bytes(conn: Connection) -> object:
    row = conn.execute("SELECT length(answer) FROM idempotency").fetchone()
    return row and row[0]


@pytest.mark.parametrize("answer", [b'{"id":"1"}', b"[]", b'"xyz"', AT_THE_EDGE[:-2] + b'"', AT_THE_EDGE, LARGE],
                         ids=["small", "empty", "text", "below", "edge", "large"])
async def test_an_answer_comes_back_to_the_byte(tmp_path: Path, answer: bytes) -> None:
    async with open_store(tmp_path / "s.db", threads=InlineThreads()) as store:
        await store.write(_note, answer)
        found = await store.read(idempotency.find, "scope", "key")
        assert found is not None and found.answer == answer


async def test_a_large_answer_takes_a_quarter_of_its_room_at_most(tmp_path: Path) -> None:
    async with open_store(tmp_path / "s.db", threads=InlineThreads()) as store:
        await store.write(_note, LARGE)
        kept = await store.read(_kept_bytes)
        assert isinstance(kept, int) and kept < len(LARGE) / 4


async def test_an_answer_that_was_kept_before_packing_is_still_read(tmp_path: Path) -> None:
    def note(transaction: Transaction) -> None:
        transaction.conn.execute(
            "INSERT INTO idempotency (scope, key, request_hash, answer, noted_at) VALUES ('s', 'k', x'00', ?, 1)",
            (LARGE,),
        )

    async with open_store(tmp_path / "s.db", threads=InlineThreads()) as store:
        await store.write(note)
        found = await store.read(idempotency.find, "s", "k")
        assert found is not None and found.answer == LARGE
