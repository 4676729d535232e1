"""The screen Clocks: what each node knows of each, what it lacks, and whether the copies are equal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from aimem_tui.sheet import Cell, Column, Line, Row, Sheet, Tone, cell, line, marked
from aimem_tui.state import State
from aimem_tui.views.mesh import members
from aimem_tui.words import count, counted, span

STREAMS_MAX: Final = 64
"""Columns, the streams with the most that somebody lacks first; a mesh of years has more, all known everywhere."""


class Matrix(Struct, frozen=True, kw_only=True):
    """Who knows how many ops of which stream.

    Attributes:
      origins: streams, by the name of their node; `names` the name of each.
      vectors: node -> stream -> ops known.
      newest: stream -> ops known to whoever knows the most.
    """

    origins: tuple[str, ...]
    names: Mapping[str, str]
    vectors: Mapping[str, Mapping[str, int]]
    newest: Mapping[str, int]

    def missing(self, node: str, stream: str) -> int:
        """How many ops of a stream a node lacks that another one has."""
        return self.newest[stream] - self.vectors[node].get(stream, 0)


def matrix(state: State) -> Matrix:
    """The vectors of all nodes, as they or the eye say."""
    vectors: dict[str, Mapping[str, int]] = {}
    names: dict[str, str] = {}
    for member in members(state):
        told = member.asked.mesh if member.asked is not None else None
        if told is not None:
            vectors[member.name], names[told.stream] = told.vector, member.name
        elif member.peer is not None:
            vectors[member.name], names[member.peer.stream] = member.peer.vector, member.name
    newest: dict[str, int] = {}
    for vector in vectors.values():
        for stream, seq in vector.items():
            newest[stream] = max(seq, newest.get(stream, 0))

    def order(stream: str) -> tuple[bool, int, str]:
        lacking = sum(newest[stream] - vector.get(stream, 0) for vector in vectors.values())
        return stream not in names, -lacking, names.get(stream, stream)

    origins = tuple(sorted(newest, key=order)[:STREAMS_MAX])
    origins = tuple(sorted(origins, key=lambda stream: (stream not in names, names.get(stream, stream))))
    return Matrix(origins=origins, names=names, vectors=vectors, newest=newest)


def origin_name(found: Matrix, stream: str) -> str:
    """The node that writes a stream, or the stream's first digits: one that was written before a restore."""
    return found.names.get(stream) or f"({stream[:6]})"


def heat(missing: int) -> Cell:
    """What is missing as a number and a colour that get stronger; `=` where nothing is."""
    if missing <= 0:
        return cell("=", Tone.GOOD)
    return cell(f"-{count(missing)}", Tone.HEAT1 if missing < 10 else Tone.HEAT2 if missing < 1000 else Tone.HEAT3)


def clock_sheet(state: State) -> Sheet:
    """A row for each node, a column for each origin."""
    found = matrix(state)
    columns = (
        Column(title="node", width=10, share=1),
        Column(title="lacks", width=7, is_number=True),
        *(Column(title=origin_name(found, stream), width=8, rank=place + 1, is_number=True)
          for place, stream in enumerate(found.origins)),
    )
    rows = []
    for name in found.vectors:
        lacks = sum(found.missing(name, stream) for stream in found.newest)
        cells = (cell(name, Tone.STRONG), heat(lacks), *(heat(found.missing(name, one)) for one in found.origins))
        rows.append(Row(key=name, cells=cells))
    return Sheet(columns=columns, rows=tuple(rows), empty="no node tells what it knows yet; see screen 1")


def focus_lines(state: State, node: str, column: int) -> tuple[Line, ...]:
    """The exact numbers behind the cell under the cursor; the first two columns stand for all streams."""
    found = matrix(state)
    if node not in found.vectors:
        return (line(cell("move with the arrow keys for exact numbers", Tone.DIM)),)
    if not 0 <= column - 2 < len(found.origins):
        lacks = [(one, found.missing(node, one)) for one in found.newest if found.missing(node, one) > 0]
        told = ", ".join(f"{missing} of {origin_name(found, one)}" for one, missing in lacks)
        known = sum(found.vectors[node].values())
        return (line(cell(node, Tone.STRONG), f" knows {counted(known, 'op')}",
                     f", and lacks {told}" if told else ", all that anybody knows"),)
    stream = found.origins[column - 2]
    has, newest = found.vectors[node].get(stream, 0), found.newest[stream]
    return (line(
        cell(node, Tone.STRONG), f" knows {has} of {newest} ops of ", cell(origin_name(found, stream), Tone.STRONG),
        f", stream {stream}" + (f": {counted(newest - has, 'op')} behind" if newest > has else ""),
    ),)


def verify_lines(state: State) -> tuple[Line, ...]:
    """The digests of the copies, as they were last compared."""
    verified = state.verified
    if verified.is_running:
        return (line(marked("comparing the copies …", Tone.DIM)),)
    if verified.trouble is not None:
        return (line(marked(f"{verified.trouble.what}: {verified.trouble.advice}", Tone.BAD)),)
    if verified.at_s is None:
        return (line(cell("digests: not compared yet; press v to have all copies compared now", Tone.DIM)),)
    ago = span(state.now_s - verified.at_s)
    lines = [line(cell("digests", Tone.STRONG), f" compared {ago} ago by {verified.seen_by}: {verified.digest}")]
    for one in verified.verdicts:
        tone = {"equal": Tone.GOOD, "differs": Tone.BAD}.get(one.verdict, Tone.WARN)
        reason = f" ({one.reason})" if one.reason else ""
        lines.append(line("  ", marked(f"{one.node or one.url} {one.verdict}", tone), f" {one.digest}{reason}"))
    if any(one.verdict == "differs" for one in verified.verdicts):
        lines.append(line("  run `ai-memory mesh verify` on that node: it names what differs and says how to mend it"))
    return tuple(lines)
