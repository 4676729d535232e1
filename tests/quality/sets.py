"""The retrieval sets, read from `data/` (its README says what they are)."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from msgspec import Struct

DATA = Path(__file__).with_name("data")


class SetName(StrEnum):
    """The three sets."""

    TURN = "turn"
    SESSION = "session"
    CRANFIELD = "cranfield"


class Document(Struct, frozen=True, kw_only=True):
    """What is stored. `key` is the set's own name of it, which must not reach the node; `day` is its place in time."""

    key: str
    title: str
    text: str
    session: str | None
    day: int
    role: str | None


class Question(Struct, frozen=True, kw_only=True):
    """What is asked; `gains` are the relevant documents (key -> 1 or more)."""

    key: str
    text: str
    category: str
    gains: Mapping[str, int]


class QualitySet(Struct, frozen=True, kw_only=True):
    """Documents in the order in which they came into being, and questions that each have a relevant one."""

    name: SetName
    documents: tuple[Document, ...]
    questions: tuple[Question, ...]


def load_set(name: SetName) -> QualitySet:
    """Read a set."""
    if name is SetName.CRANFIELD:
        return QualitySet(name=name, documents=tuple(_abstracts()), questions=_questions("cranfield/"))
    documents = _turns() if name is SetName.TURN else _sessions()
    return QualitySet(name=name, documents=tuple(documents), questions=_questions(f"chat/{name}_"))


def _turns() -> Iterator[Document]:
    for row in _rows("chat/turns.jsonl.gz"):
        yield Document(
            key=row["_id"], title="", text=row["text"], session=row["session"], day=row["tick"], role="user"
        )


def _sessions() -> Iterator[Document]:
    texts: dict[str, list[str]] = {}
    days: dict[str, int] = {}
    for row in _rows("chat/turns.jsonl.gz"):
        texts.setdefault(row["session"], []).append(row["text"])
        days[row["session"]] = row["tick"]
    for key, parts in texts.items():
        yield Document(key=key, title="", text="\n".join(parts), session=key, day=days[key], role=None)


def _abstracts() -> Iterator[Document]:
    """The abstracts that have a text. A title is a memory's name, so one that repeats gets a number."""
    seen: dict[str, int] = {}
    for row in _rows("cranfield/documents.jsonl.gz"):
        if not row["text"].strip():
            continue
        count = seen[row["title"]] = seen.get(row["title"], 0) + 1
        title = row["title"] if count == 1 else f"{row['title']} ({count})"
        yield Document(key=row["_id"], title=title, text=row["text"], session=None, day=0, role=None)


def _questions(prefix: str) -> tuple[Question, ...]:
    gains: dict[str, dict[str, int]] = {}
    for line in _lines(f"{prefix}qrels.tsv.gz")[1:]:
        question, document, gain = line.split("\t")
        if int(gain) > 0:
            gains.setdefault(question, {})[document] = int(gain)
    return tuple(
        Question(key=row["_id"], text=row["text"], category=row.get("category", ""), gains=gains[row["_id"]])
        for row in _rows(f"{prefix}queries.jsonl.gz")
        if row["_id"] in gains
    )


def _rows(name: str) -> Iterator[dict[str, Any]]:
    return map(json.loads, _lines(name))


def _lines(name: str) -> list[str]:
    with gzip.open(DATA / name, "rt", encoding="utf-8", newline="\n") as file:
        return file.read().removesuffix("\n").split("\n")
