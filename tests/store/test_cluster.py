"""The id of the mesh that a database belongs to."""

from __future__ import annotations

from pathlib import Path

import pytest

from aimem.errors import InvalidRequest
from tests.nodes import open_store

ONE, OTHER = "1" * 32, "2" * 32


async def test_an_id_is_learned_once_and_kept(tmp_path: Path) -> None:
    async with open_store(tmp_path / "a.db") as store:
        assert store.cluster == ""
        assert await store.learn_cluster(ONE) == ONE
        assert await store.learn_cluster(OTHER) == ONE == store.cluster
    async with open_store(tmp_path / "a.db") as store:
        assert store.cluster == ONE


async def test_an_id_that_was_forgotten_gives_room_for_another(tmp_path: Path) -> None:
    async with open_store(tmp_path / "a.db") as store:
        await store.learn_cluster(ONE)
        await store.forget_cluster()
        assert store.cluster == ""
        assert await store.learn_cluster(OTHER) == OTHER


@pytest.mark.parametrize("text", ["", "1" * 31, "A" * 32, "g" * 32, "1" * 33])
async def test_what_is_no_id_is_refused(tmp_path: Path, text: str) -> None:
    async with open_store(tmp_path / "a.db") as store:
        with pytest.raises(InvalidRequest, match="no id of a mesh"):
            await store.learn_cluster(text)
        assert store.cluster == ""
