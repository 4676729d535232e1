"""Messages between nodes, altered in a few places; and the corpus of alterations that every run tries."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import msgspec
from hypothesis import strategies as st
from msgspec import Struct

from tests.campaign.wild import hostile_texts

CORPUS: Final = Path(__file__).parent / "corpus"
ODD_TEXTS: Final = ("", "\x00", "\ud800", "=", "AAAA", "9" * 400, "ff" * 16, "\u202e")
ODD_NUMBERS: Final = (0, 1, -1, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 10**400, 0.5, float("nan"), float("inf"))
_PLACES: Final = 1 << 16

Tree = Any      # any JSON value
Way = tuple[str | int, ...]


class Alteration(Struct, array_like=True, frozen=True):
    """What is done at one place of a message: places are numbered as they come, round and round.

    Attributes:
      verb: `wild` puts `value` there, `move` what stands at place `other`; `change` alters what there is a little, by
        `other`; `drop`, `double` and `name` (which gives it another name) do what they say.
    """

    at: int
    verb: str
    other: int = 0
    value: Any = None


_odd: Final = st.none() | st.booleans() | st.sampled_from(ODD_NUMBERS) | hostile_texts
_odd_values: Final = st.recursive(
    _odd, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(hostile_texts, inner, max_size=3), max_leaves=6
)
alterations: Final = st.lists(
    st.builds(
        Alteration, at=st.integers(0, _PLACES), other=st.integers(0, _PLACES),
        verb=st.sampled_from(["change", "change", "move", "move", "drop", "double", "name"]),
    ) | st.builds(Alteration, at=st.integers(0, _PLACES), verb=st.just("wild"), value=_odd_values),
    min_size=1, max_size=4,
)


def altered(sound: Tree, what: Sequence[Alteration]) -> Tree:
    """The message with these alterations, one after the other."""
    tree = copy.deepcopy(sound)
    for one in what:
        ways = _ways(tree)
        if ways:
            _alter(tree, ways, one)
    return tree


def kept(kind: str) -> list[list[Alteration]]:
    """The corpus of one kind of message: what ever did harm, and what is worth trying for sure."""
    lines = (CORPUS / f"{kind}.jsonl").read_text().splitlines()
    return [msgspec.convert(json.loads(line), list[Alteration]) for line in lines]


def keep(kind: str, what: Sequence[Alteration]) -> str:
    """Put into the corpus what did harm; where that is a build machine's it is only told. Returns: what to do."""
    line = json.dumps(msgspec.to_builtins(list(what)))
    if os.environ.get("CI"):
        return f"put this line into tests/campaign/corpus/{kind}.jsonl: {line}"
    with (CORPUS / f"{kind}.jsonl").open("a") as corpus:
        corpus.write(f"{line}\n")
    return f"its line in tests/campaign/corpus/{kind}.jsonl repeats it; commit that with what mends it"


def _ways(tree: Tree, way: Way = ()) -> list[Way]:
    """Every value in a message, by the way to it; the message itself is none of them."""
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    found = [way] if way else []
    for name, value in inner:
        found += _ways(value, (*way, name))
    return found


def _alter(tree: Tree, ways: list[Way], one: Alteration) -> None:
    way = ways[one.at % len(ways)]
    holder, name = _at(tree, way[:-1]), way[-1]
    match one.verb:
        case "wild":
            holder[name] = copy.deepcopy(one.value)
        case "move":
            holder[name] = copy.deepcopy(_at(tree, ways[one.other % len(ways)]))
        case "change":
            holder[name] = _changed(holder[name], one.other)
        case "drop":
            del holder[name]
        case "double" if isinstance(holder, list):
            holder.insert(int(name), copy.deepcopy(holder[name]))
        case "name" if isinstance(holder, dict):
            holder[_pick(one.other, *ODD_TEXTS, str(name).upper(), str(name)[::-1])] = holder.pop(name)


def _at(tree: Tree, way: Way) -> Tree:
    for name in way:
        tree = tree[name]
    return tree


def _changed(value: Tree, by: int) -> Tree:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return _pick(by, value + 1, value - 1, -value, 0, 2**63 - 1, 2**63, 2**53)
    if isinstance(value, str):
        at = by // 16 % max(len(value), 1)
        return _pick(by, value[:at] + "A" + value[at + 1 :], value[:at] + "\u00e9" + value[at:], value[:at],
                     value[at:] + value[:at], *ODD_TEXTS)
    if isinstance(value, list):
        return _pick(by, value[::-1], value[:-1], value * 2, [])
    return {} if isinstance(value, dict) else crc32(str(by).encode())


def _pick(by: int, *choices: Tree) -> Tree:
    return choices[by % len(choices)]
