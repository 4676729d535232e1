"""Whether a text is there already: the same words, or nearly the same meaning."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from aimem.errors import Code, InvalidRequest, Unavailable
from aimem.model import Memory, Principal, rules
from aimem.search import WrongVectors
from aimem.service.meaning import Scope, nearest_in_scope
from aimem.service.node import Node
from aimem.store import Filters, duplicates, embeddings, memories, visible_to
from aimem.wire import DuplicateCheck, DuplicateResult, NearestMemory

THRESHOLD_MIN: Final = 0.5
NEAREST_OF_EACH: Final = 5
CHUNKS_MAX: Final = 8
"""Of a text so many passages are compared: some 8,000 characters tell whether two long texts are one."""

ROUND_DIGITS: Final = 6


class _Near(Struct, frozen=True):
    """A memory, and how like the text it is."""

    memory: Memory
    similarity: float


async def check_duplicate(node: Node, who: Principal, request: DuplicateCheck) -> DuplicateResult:
    """Look for the memory that is most like a text; it is a duplicate from the threshold on.

    The same text is found without a model too, and where its vectors are not made yet.

    Raises: InvalidRequest naming the field; Unavailable(embedder_unavailable) without a model, unless the same text is
      there.
    """
    title, content = rules.title(request.title or ""), rules.content(request.content)
    if not THRESHOLD_MIN <= request.threshold <= 1:
        raise InvalidRequest(
            f"threshold is {request.threshold}; allowed is a number from {THRESHOLD_MIN} to 1", field="threshold"
        )
    filters = Filters(namespaces=(rules.namespace(request.namespace),) if request.namespace else None)
    scope = Scope(filters, visible_to(who), node.clock.now())
    same = await node.store.read(
        duplicates.find_identical, title, content, scope.filters, scope.visible, scope.now
    )
    await node.recaller.wait_until_settled()
    if node.recaller.is_keyword_only and same is None:
        raise Unavailable(
            f"duplicates are found by meaning, and there is no model: {node.recaller.reason}; only the same text would "
            "be found, and it is not there",
            code=Code.EMBEDDER_UNAVAILABLE,
        )
    near = _Near(same, 1.0) if same is not None else await _nearest(node, f"{title}\n{content}".strip(), scope)
    scanned = await node.store.read(duplicates.count_embedded, scope.filters, scope.visible, scope.now)
    backlog = await node.store.read(embeddings.count_backlog_seen, scope.visible, scope.now)
    return _answer(request.threshold, near, max(scanned, int(same is not None)), backlog, is_same=same is not None)


def _answer(threshold: float, near: _Near | None, scanned: int, backlog: int, *, is_same: bool) -> DuplicateResult:
    is_duplicate = near is not None and near.similarity >= threshold
    return DuplicateResult(
        is_duplicate=is_duplicate,
        threshold=threshold,
        nearest=None
        if near is None
        else NearestMemory(
            id=near.memory.id,
            title=near.memory.title,
            namespace=near.memory.namespace,
            similarity=near.similarity,
        ),
        suggested_merge=near.memory.id if near is not None and is_duplicate else None,
        candidates_scanned=scanned,
        identical=is_same,
        embedding_backlog=backlog,
    )


async def _nearest(node: Node, text: str, scope: Scope) -> _Near | None:
    """The memory that is most like the text, passage by passage on the average: a shared beginning is not enough."""
    [vectors] = await node.recaller.embed_documents([text])
    compared = vectors[:CHUNKS_MAX]
    try:
        found: set[int] = set()
        for vector in compared:
            found |= (await nearest_in_scope(node, vector, NEAREST_OF_EACH, scope)).keys()
        totals = dict.fromkeys(found, 0.0)
        for vector in compared if found else ():
            for no, similarity in (await node.recaller.similarities(vector, found)).items():
                totals[no] += similarity
    except WrongVectors as error:
        raise Unavailable(
            f"the model makes nothing usable of this text: {error}", code=Code.EMBEDDER_UNAVAILABLE
        ) from error
    rows = await node.store.read(
        memories.by_numbers, sorted(totals), scope.filters, scope.visible, scope.now
    )
    if not rows:
        return None
    best = max(rows, key=lambda no: (totals[no], -no))
    # A rounding error may lift a cosine above 1.
    return _Near(rows[best], round(min(1.0, totals[best] / len(compared)), ROUND_DIGITS))
