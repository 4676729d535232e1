"""FTS5 expressions that no input can break: each term a quoted string."""

from __future__ import annotations

from collections.abc import Iterable


def any_of(terms: Iterable[str]) -> str:
    """Rows with at least one of the terms; without terms it matches nothing."""
    return " OR ".join(map(quoted, terms)) or '""'


def all_of(terms: Iterable[str]) -> str:
    """Rows with all terms, in any column; without terms it matches nothing.

    The AND is implicit, because FTS5 then passes over a term in which its tokenizer finds no word.
    """
    return " ".join(map(quoted, terms)) or '""'


def own(expression: str) -> str:
    """The expression, looked for in a row's own texts, not in those of its neighbours."""
    return f"{{title content tags}} : ({expression})"


def quoted(term: str) -> str:
    """One term as a string of FTS5."""
    escaped = term.replace('"', '""')
    return f'"{escaped}"'
