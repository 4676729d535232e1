"""Whether a text is there already."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType


class DuplicateCheck(Struct, kw_only=True):
    """Body of POST /check_duplicate; a blank title counts as none. `threshold` is a similarity from 0.5 to 1."""

    content: str
    title: str | None = None
    namespace: str | None = None
    threshold: float = 0.85


class NearestMemory(Struct, kw_only=True):
    """The memory that is most like the text; `similarity` is a cosine, 1 for the same text."""

    id: str
    title: str
    namespace: str
    similarity: float


class DuplicateResult(Struct, kw_only=True):
    """Answer to the check.

    Attributes:
      nearest: null if there is nothing to compare with.
      suggested_merge: its id, if it is a duplicate.
      candidates_scanned: how many memories the text was compared with.
      identical: whether the nearest has this very title and content.
      embedding_backlog: visible memories that wait for their vectors; these are found only if identical.
    """

    is_duplicate: bool
    threshold: float
    nearest: NearestMemory | None
    suggested_merge: str | None
    candidates_scanned: int
    identical: bool
    embedding_backlog: int | UnsetType = UNSET
