"""Reading a file of memories, and cutting it into batches that one request can carry.

Two formats: one JSON document as `export` prints it, and JSON Lines with one memory a line. Both are read as they are
sent, so a large file is never held whole.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from tempfile import SpooledTemporaryFile
from types import MappingProxyType
from typing import BinaryIO, Final

import msgspec
from msgspec import Struct

from aimem.cli.jsonstream import Piece, pieces
from aimem.errors import InvalidRequest
from aimem.wire import (
    ExportedAgent,
    ExportedAlias,
    ExportedLink,
    ExportedNamespace,
    ImportArchived,
    ImportMemory,
    decode_body,
    encode,
)

BATCH_COUNT = 500
BATCH_BYTES = 1024 * 1024
"""Bounds of one request: half the node's own of 1,000 rows and 2 MiB, so that what the node adds fits too."""

DEFERRED_IN_MEMORY_BYTES: Final = 8 * 1024 * 1024
_LENGTH_BYTES: Final = 4

Row = ImportMemory | ImportArchived | ExportedLink | ExportedAlias | ExportedAgent | ExportedNamespace

SECTIONS: Final = MappingProxyType[str, type[Row]]({
    "memories": ImportMemory, "archived": ImportArchived, "links": ExportedLink, "aliases": ExportedAlias,
    "agents": ExportedAgent, "namespaces": ExportedNamespace,
})
"""Field of the document -> its rows; in this order they are sent."""

AT_ONCE: Final = ("memories", "archived")
"""The others refer to these, and wait until the document's end."""


class Item(Struct, frozen=True, kw_only=True):
    """One row of the file.

    Attributes:
      where: its place in the file, for messages (`line 17`).
      size_bytes: its JSON's length.
      weight: its share of Source.total.
    """

    section: str
    where: str
    value: Row
    size_bytes: int
    weight: int


class Refused(Struct, frozen=True, kw_only=True):
    """A row that is none: it is named and left out."""

    reason: str
    weight: int


class Batch(Struct, frozen=True, kw_only=True):
    """What one request carries, rows of one section; `places` says where each stood in the file."""

    section: str
    values: tuple[Row, ...]
    places: tuple[str, ...]
    weight: int


class Source(Struct, kw_only=True):
    """A file's rows, read as they are needed.

    Attributes:
      total: the sum of their weights (bytes of the file), None if unknown.
      digest: what the document says of itself, once all is read; None if it says nothing.
    """

    items: Iterator[Item | Refused] = iter(())
    total: int | None = None
    digest: str | None = None


class _AnyDocument(Struct, kw_only=True):
    memories: msgspec.Raw | None = None


def read_source(stream: BinaryIO) -> Source:
    """Recognise the format by the first line that is not blank.

    Raises: InvalidRequest if there is nothing, or it is neither format; reading the items may raise it too.
    """
    line = b""
    while not line.strip():
        line = stream.readline(BATCH_BYTES + 1)
        if not line:
            raise InvalidRequest("nothing to import: the input is empty", field="file")
    line = line.removeprefix(b"\xef\xbb\xbf")
    source = Source(total=_size(stream))
    if _is_memory(line):
        source.items = _lines(line, stream)
    elif line.lstrip().startswith(b"{"):
        source.items = _rows(source, stream, line)
    else:
        raise InvalidRequest("the input is neither an export document nor JSON Lines of memories", field="file")
    return source


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
            yield _item(line, "memories", f"line {number}", weight=len(line))
        line = stream.readline(BATCH_BYTES + 1)
        number += 1


def _skip_line(stream: BinaryIO) -> int:
    skipped = 0
    while rest := stream.readline(BATCH_BYTES):
        skipped += len(rest)
        if rest.endswith(b"\n"):
            break
    return skipped


def _rows(source: Source, stream: BinaryIO, head: bytes) -> Iterator[Item | Refused]:
    """The rows of a document, whatever the order of its sections: what must wait, waits in a file without a name."""
    with SpooledTemporaryFile(max_size=DEFERRED_IN_MEMORY_BYTES) as deferred:
        at, is_document = 0, False
        for piece in _pieces(stream, head):
            is_document |= piece.name in SECTIONS and piece.place is not None
            if piece.name == "digest" and piece.place is None:
                source.digest = _text(piece.raw)
            elif piece.name in AT_ONCE and piece.place is not None:
                yield _item(piece.raw, piece.name, _where(piece), weight=piece.end - at)
                at = piece.end
            elif piece.name in SECTIONS and piece.place is not None:
                _write(deferred, encode((piece.name, piece.place)))
                _write(deferred, piece.raw)
        if not is_document:
            raise InvalidRequest("the input is neither an export document nor JSON Lines of memories", field="file")
        yield from _deferred_rows(deferred)


def _pieces(stream: BinaryIO, head: bytes) -> Iterator[Piece]:
    try:
        yield from pieces(stream, max_bytes=BATCH_BYTES, head=head)
    except InvalidRequest as error:
        raise InvalidRequest(
            f"the input is neither an export document nor JSON Lines of memories: {error.message}", field="file",
        ) from None


def _text(raw: bytes) -> str | None:
    try:
        return msgspec.json.decode(raw, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _where(piece: Piece) -> str:
    return f"{piece.name}[{piece.place}]"


def _write(spool: SpooledTemporaryFile[bytes], data: bytes) -> None:
    spool.write(len(data).to_bytes(_LENGTH_BYTES, "big") + data)


def _read(spool: SpooledTemporaryFile[bytes]) -> bytes:
    return spool.read(int.from_bytes(spool.read(_LENGTH_BYTES), "big"))


def _deferred_rows(spool: SpooledTemporaryFile[bytes]) -> Iterator[Item | Refused]:
    for section in SECTIONS:
        spool.seek(0)
        while head := _read(spool):
            name, place = msgspec.json.decode(head, type=tuple[str, int])
            raw = _read(spool)
            if name == section:
                yield _item(raw, name, f"{name}[{place}]", weight=len(raw))


def _item(raw: bytes, section: str, where: str, *, weight: int) -> Item | Refused:
    try:
        value: Row = decode_body(SECTIONS[section], raw)
    except InvalidRequest as error:
        return Refused(reason=f"{where}: {error.message}", weight=weight)
    size_bytes = len(encode(value))
    if size_bytes > BATCH_BYTES:
        return Refused(reason=f"{where}: has {size_bytes} bytes; at most {BATCH_BYTES} are allowed", weight=weight)
    return Item(section=section, value=value, where=where, size_bytes=size_bytes, weight=weight)


def batches(items: Iterable[Item | Refused]) -> Iterator[Batch | Refused]:
    """Group items in their order into batches of at most BATCH_COUNT rows and BATCH_BYTES; refusals pass through.

    A batch holds rows of one section, so that what a link refers to was acknowledged before it is sent.
    """
    held: list[Item] = []
    size_bytes = 0
    for item in items:
        if isinstance(item, Refused):
            yield item
            continue
        is_other_section = bool(held) and held[0].section != item.section
        if held and (is_other_section or len(held) == BATCH_COUNT or size_bytes + item.size_bytes > BATCH_BYTES):
            yield _batch(held)
            held, size_bytes = [], 0
        held.append(item)
        size_bytes += item.size_bytes
    if held:
        yield _batch(held)


def _batch(items: list[Item]) -> Batch:
    return Batch(
        section=items[0].section, values=tuple(item.value for item in items),
        places=tuple(item.where for item in items), weight=sum(item.weight for item in items))
