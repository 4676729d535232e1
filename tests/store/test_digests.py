"""Digests of ranges of keys: they add up to the whole, and end where they are told or where they must."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimem import service
from aimem.errors import InvalidRequest
from aimem.service import Node
from aimem.store import KINDS, Store, digest, digests, walking
from aimem.store.digests import Span
from aimem.store.walking import Place
from tests.nodes import InlineThreads, open_node
from tests.service.steps import ALICE, connect, put


async def furnished(node: Node) -> None:
    """Rows of several kinds, some of them dead."""
    ids = [(await put(node, f"t{number}", f"text {number}")).id for number in range(9)]
    await connect(node, ids[0], ids[1])
    await service.delete(node, ALICE, ids[2])


async def spans_of(store: Store, max_count: int) -> list[Span]:
    spans = [await store.read(digests.read_span, None, None, max_count)]
    while spans[-1].until is not None:
        spans.append(await store.read(digests.read_span, spans[-1].until, None, max_count))
    return spans


@pytest.mark.parametrize("max_count", [1, 4, 1000])
async def test_the_digests_of_ranges_add_up_to_that_of_the_whole(tmp_path: Path, max_count: int) -> None:
    async with open_node(tmp_path / "a.db", threads=InlineThreads()) as a:
        await furnished(a)
        spans = await spans_of(a.store, max_count)
        terms = [term for span in spans for term in span.terms]
        assert len(terms) == await a.store.read(walking.count_objects) == 11    # with the stream, less the dead one
        assert Span(tuple(terms), None).digest == await a.store.read(digest)
        assert all(len(span.terms) <= max_count for span in spans)


async def test_a_range_ends_where_it_is_told_also_between_rows(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a.db", threads=InlineThreads()) as a:
        await furnished(a)
        whole = await a.store.read(digests.read_span, None, None, 1000)
        places = [term.place for term in whole.terms]
        until = Place(places[3].table, (places[3].key[0] + "0",))
        span = await a.store.read(digests.read_span, places[0], until, 1000)
        assert (span.until, [term.place for term in span.terms]) == (until, places[1:4])
        short = await a.store.read(digests.read_span, places[0], until, 2)
        assert (short.until, [term.place for term in short.terms]) == (places[2], places[1:3])
        beyond = Place("tombstones", ("zzz", "z"))
        assert (await a.store.read(digests.read_span, None, beyond, 1000)).terms == whole.terms


async def test_each_place_names_its_object_and_dead_ones_are_told_from_living(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a.db", threads=InlineThreads()) as a:
        stored = await put(a, "t")
        alive = await a.store.read(digests.read_span, None, None, 1000)
        assert digests.object_of(alive.terms[0].place) == ("memory", stored.id)
        await service.delete(a, ALICE, stored.id)
        dead = await a.store.read(digests.read_span, None, None, 1000)
        assert digests.object_of(dead.terms[-1].place) == ("memory", stored.id)
        assert alive.digest != dead.digest


@given(one=st.lists(st.text(max_size=3), max_size=6), other=st.text(max_size=3))
def test_places_are_ordered_as_sqlite_orders_keys(one: list[str], other: str) -> None:
    places = [Place("memory", (key,)) for key in one]
    for place in places:
        is_later = place.key[0].encode(errors="surrogatepass") > other.encode(errors="surrogatepass")
        assert walking.is_behind(place, Place("memory", (other,))) == is_later
        assert not walking.is_behind(place, None)
        assert walking.is_behind(Place("tombstones", ("memory", "")), place)


def test_every_kind_is_walked_over() -> None:
    for kind in KINDS.values():
        walking.check_place(Place(kind.name, ("k",) * len(kind.key_columns)))
    with pytest.raises(InvalidRequest):
        walking.check_place(Place("memory", ("a", "b")))
