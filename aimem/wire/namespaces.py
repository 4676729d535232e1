"""Standards of namespaces, as far as there are any."""

from __future__ import annotations

from msgspec import Struct


class NamespacesQuery(Struct, kw_only=True):
    """Query of GET /namespaces: without `namespace` the list, with it that namespace's standard."""

    namespace: str | None = None
    inherit: bool = False


class NamespaceStandard(Struct, kw_only=True):
    """The standard of one namespace; None if none is set."""

    namespace: str
    standard_id: str | None


class NamespaceStandards(Struct, kw_only=True):
    """The standards that hold in one namespace, the most general first, and where they were looked for."""

    namespace: str
    chain: tuple[str, ...]
    standards: tuple[NamespaceStandard, ...]
    count: int
