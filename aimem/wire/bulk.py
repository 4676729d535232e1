"""Many memories in one request."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

BulkItem = Annotated[msgspec.Raw, Meta(extra_json_schema={"$ref": "#/components/schemas/CreateMemory"})]
"""A CreateMemory that is read by itself, so that one which is none refuses only itself."""


class BulkMemories(Struct, kw_only=True):
    """Body of POST /memories/bulk: at most 1,000 memories. The array alone will do too."""

    memories: list[BulkItem]


BulkRequest = BulkMemories | list[BulkItem]


class BulkResult(Struct, kw_only=True):
    """What became of one item: `id`, `action` and `version`, or `error`, `code` and `field`. `index` counts from 0.

    One that waits for approval has the `status` pending and its `pending_id`.

    `autonomy_hook_skipped` is as in the answer to a single store.
    """

    index: int
    id: str | UnsetType = UNSET
    action: str | UnsetType = UNSET
    version: str | UnsetType = UNSET
    autonomy_hook_skipped: str | UnsetType = UNSET
    status: str | UnsetType = UNSET
    pending_id: str | UnsetType = UNSET
    error: str | UnsetType = UNSET
    code: str | UnsetType = UNSET
    field: str | UnsetType = UNSET


class BulkAnswer(Struct, kw_only=True):
    """Answer to a bulk store.

    Attributes:
      created, updated: how many memories are new, and how many items found one of their name.
      errors: `<title>: <reason>` of each refused item.
      ids: of the memories stored, each once, in the order of their items.
      results: one for each item.
    """

    created: int
    errors: tuple[str, ...]
    updated: int
    ids: tuple[str, ...]
    results: tuple[BulkResult, ...]
    pending: tuple[str, ...] | UnsetType = UNSET
