"""Forgetting by filters, and taking that back."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType


class ForgetRequest(Struct, kw_only=True):
    """Body or query of POST /forget: filters, which must all hold, or `undo`, the `forget_id` of an earlier answer."""

    namespace: str | None = None
    pattern: str | None = None
    tier: str | None = None
    dry_run: bool = False
    undo: str | None = None


class ForgottenMemory(Struct, kw_only=True):
    """A memory that a dry run names."""

    id: str
    title: str
    namespace: str
    tier: str


class NotRestored(Struct, kw_only=True):
    """A memory that stays in the archive, and why."""

    id: str
    code: str
    error: str


class Forgotten(Struct, kw_only=True):
    """Answer to a forget, a dry run (`would_delete`, `memories`) or an undo (`restored`, `not_restored`).

    `more` says that further memories match than one request takes.
    """

    deleted: int
    archived: bool
    dry_run: bool
    more: bool = False
    forget_id: str | UnsetType = UNSET
    version: str | UnsetType = UNSET
    would_delete: int | UnsetType = UNSET
    memories: tuple[ForgottenMemory, ...] | UnsetType = UNSET
    restored: int | UnsetType = UNSET
    not_restored: tuple[NotRestored, ...] | UnsetType = UNSET
