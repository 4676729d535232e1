"""What recall finds is no worse than what we promise: the real service and the real model over the three sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import pytest
import trio

from aimem.search import open_minilm
from tests.quality.__main__ import table
from tests.quality.cached import CachingEmbedder
from tests.quality.harness import Mode, Report, measure
from tests.quality.sets import QualitySet, SetName, load_set

pytestmark = pytest.mark.slow

Reports = Mapping[Mode, Report]

KEYWORD_LAG_MAX = 3.0
"""Points that recall without the model may stand behind recall with it, where people talk."""

EMBEDDING_THREADS = 2
EMBEDDED_TOGETHER = 32


@pytest.fixture(scope="module")
def measured(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[SetName], Reports]:
    """A set's reports in both modes, made (and shown) when they are first asked for."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    embedder = CachingEmbedder(open_minilm(None), tmp_path_factory.mktemp("vectors"))
    known: dict[SetName, Reports] = {}

    def reports(name: SetName) -> Reports:
        if name not in known:
            known[name] = trio.run(measure_both, load_set(name), embedder)
            with capture.global_and_fixture_disabled():
                print("\n".join(("", *table(known[name].values()))))
        return known[name]

    return reports


async def measure_both(quality_set: QualitySet, embedder: CachingEmbedder) -> Reports:
    await embed_ahead(quality_set, embedder)
    hybrid, _ = await measure(quality_set, embedder)
    keyword, _ = await measure(quality_set, None)
    return {Mode.HYBRID: hybrid, Mode.KEYWORD: keyword}


async def embed_ahead(quality_set: QualitySet, embedder: CachingEmbedder) -> None:
    """Embed what a node will embed, by several threads, where a node uses one to leave the other cores to others."""
    documents = (f"{each.title}\n{each.text}" if each.title else each.text for each in quality_set.documents)
    pieces = sorted({piece for text in documents for piece in embedder.chunk(text)}, key=len)
    batches = iter([pieces[start : start + EMBEDDED_TOGETHER] for start in range(0, len(pieces), EMBEDDED_TOGETHER)])

    async def embed_some() -> None:
        for batch in batches:
            await trio.to_thread.run_sync(partial(embedder.embed, batch))

    async with trio.open_nursery() as nursery:
        for _ in range(EMBEDDING_THREADS):
            nursery.start_soon(embed_some)


@pytest.mark.parametrize(("name", "figure", "floor"), [
    (SetName.SESSION, "hit_5", 86.0),
    (SetName.SESSION, "mrr", 71.0),
    (SetName.TURN, "hit_5", 72.0),
    (SetName.CRANFIELD, "ndcg_10", 55.0),
])
def test_recall_finds_at_least(
    measured: Callable[[SetName], Reports], name: SetName, figure: str, floor: float
) -> None:
    assert getattr(measured(name)[Mode.HYBRID].overall, figure) >= floor


@pytest.mark.parametrize(("name", "figure"), [
    (SetName.TURN, "hit_5"), (SetName.TURN, "mrr"), (SetName.SESSION, "hit_5"), (SetName.SESSION, "mrr"),
])
def test_recall_by_keyword_is_close_behind_on_conversations(
    measured: Callable[[SetName], Reports], name: SetName, figure: str
) -> None:
    hybrid, keyword = (getattr(measured(name)[mode].overall, figure) for mode in (Mode.HYBRID, Mode.KEYWORD))
    assert keyword >= hybrid - KEYWORD_LAG_MAX
