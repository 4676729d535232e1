"""Reading a file of memories, and cutting it into batches that one request can carry.

Two formats: one JSON document `{"memories": [...], "links": [...]}` as `export` prints it, and JSON Lines with one
memory a line. Lines are read as they are sent, so a large file is never held whole.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import msgspec
from msgspec import Struct

from aimem.errors import InvalidRequest
from aimem.wire import ImportedLink, ImportMemory, decode_body, encode

BATCH_COUNT = 500
BATCH_BYTES = 1024 * 1024
"""Bounds of one request: half the node's own of 1,000 items and 2 MiB, so that what the node adds fits too."""

DOCUMENT_MAX_BYTES = 1024 * 1024 * 1024
"""A document is parsed whole; beyond a gibibyte JSON Lines must be used."""


_NAMELESS = re.compile(r"item (\d+)(?=:)")


class Item(Struct, frozen=True, kw_only=True):
    """One memory or link of the file.

    Attributes:
      where: its place in the file, for messages (`line 17`).
      size_bytes: its JSON's length.
      weight: its share of Source.total.
    """

    where: str
    value: ImportMemory | ImportedLink
    size_bytes: int
    weight: int


class Refused(Struct, frozen=True, kw_only=True):
    """An item that is none: it is named and left out."""

    reason: str
    weight: int


class Batch(Struct, frozen=True, kw_only=True):
    """What one request carries; `places` says where each item stood in the file."""

    memories: tuple[ImportMemory, ...]
    links: tuple[ImportedLink, ...]
    places: tuple[str, ...]
    weight: int

    def located(self, reason: str) -> str:
        """A node's reason for refusing an item that has neither id nor title, `item N: …`, with its place instead."""
        found = _NAMELESS.match(reason)
        if found and int(found[1]) < len(self.places):
            return self.places[int(found[1])] + reason[found.end(1):]
        return reason


class Source(Struct, frozen=True, kw_only=True):
    """A file's items, read as they are needed; `total` is the sum of their weights, None if unknown."""

    items: Iterator[Item | Refused]
    total: int | None


class _Document(Struct, kw_only=True):
    memories: list[msgspec.Raw]
    links: list[msgspec.Raw] = []


class _AnyDocument(Struct, kw_only=True):
    memories: msgspec.Raw | None = None


def read_source(stream: BinaryIO) -> Source:
    """Recognise the format by the first line that is not blank.

    Raises: InvalidRequest if there is nothing, or it is neither format.
    """
    lead = 0
    line = b""
    while not line.strip():
        lead += len(line)
        line = stream.readline(BATCH_BYTES + 1)
        if not line:
            raise InvalidRequest("nothing to import: the input is empty", field="file")
    line = line.removeprefix(b"\xef\xbb\xbf")
    if _is_memory(line):
        return Source(items=_lines(line, stream), total=_size(stream))
    data = line + stream.read(DOCUMENT_MAX_BYTES)
    if len(data) > DOCUMENT_MAX_BYTES:
        raise InvalidRequest("the document is too large to be read whole; give JSON Lines", field="file")
    return _document(data)


def _is_memory(line: bytes) -> bool:
    """Whether this line alone is a JSON object that is not a whole document."""
    try:
        return msgspec.json.decode(line, type=_AnyDocument).memories is None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _size(stream: BinaryIO) -> int | None:
    """The file's size in bytes, None for a pipe."""
    try:
        if not stream.seekable():
            return None
        here = stream.tell()
        size = stream.seek(0, io.SEEK_END)
        stream.seek(here)
    except OSError:
        return None
    return size


def _lines(first: bytes, stream: BinaryIO) -> Iterator[Item | Refused]:
    line, number = first, 1
    while line:
        if not line.endswith(b"\n") and len(line) > BATCH_BYTES:
            weight = len(line) + _skip_line(stream)
            yield Refused(reason=f"line {number}: has more than {BATCH_BYTES} bytes", weight=weight)
        elif line.strip():
            yield _item(line, ImportMemory, f"line {number}", weight=len(line))
        line = stream.readline(BATCH_BYTES + 1)
        number += 1


def _skip_line(stream: BinaryIO) -> int:
    skipped = 0
    while rest := stream.readline(BATCH_BYTES):
        skipped += len(rest)
        if rest.endswith(b"\n"):
            break
    return skipped


def _document(data: bytes) -> Source:
    try:
        document = decode_body(_Document, data)
    except InvalidRequest as error:
        raise InvalidRequest(
            f"the input is neither an export document nor JSON Lines of memories: {error.message}", field="file",
        ) from None
    return Source(items=_entries(document), total=len(document.memories) + len(document.links))


def _entries(document: _Document) -> Iterator[Item | Refused]:
    for place, raw in enumerate(document.memories):
        yield _item(bytes(raw), ImportMemory, f"memories[{place}]", weight=1)
    # Links last: both their ends must exist by then.
    for place, raw in enumerate(document.links):
        yield _item(bytes(raw), ImportedLink, f"links[{place}]", weight=1)


def _item(raw: bytes, kind: type[ImportMemory | ImportedLink], where: str, *, weight: int) -> Item | Refused:
    try:
        value = decode_body(kind, raw)
    except InvalidRequest as error:
        return Refused(reason=f"{where}: {error.message}", weight=weight)
    size_bytes = len(encode(value))
    if size_bytes > BATCH_BYTES:
        return Refused(reason=f"{where}: has {size_bytes} bytes; at most {BATCH_BYTES} are allowed", weight=weight)
    return Item(value=value, where=where, size_bytes=size_bytes, weight=weight)


def batches(items: Iterable[Item | Refused]) -> Iterator[Batch | Refused]:
    """Group items in their order into batches of at most BATCH_COUNT items and BATCH_BYTES; refusals pass through.

    A batch holds memories or links, never both, so that a link's ends were acknowledged before it is sent.
    """
    held: list[Item] = []
    size_bytes = 0
    for item in items:
        if isinstance(item, Refused):
            yield item
            continue
        is_other_kind = bool(held) and type(held[0].value) is not type(item.value)
        if held and (is_other_kind or len(held) == BATCH_COUNT or size_bytes + item.size_bytes > BATCH_BYTES):
            yield _batch(held)
            held, size_bytes = [], 0
        held.append(item)
        size_bytes += item.size_bytes
    if held:
        yield _batch(held)


def _batch(items: list[Item]) -> Batch:
    return Batch(
        memories=tuple(item.value for item in items if isinstance(item.value, ImportMemory)),
        links=tuple(item.value for item in items if isinstance(item.value, ImportedLink)),
        places=tuple(item.where for item in items), weight=sum(item.weight for item in items))
