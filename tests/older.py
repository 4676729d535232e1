"""Nodes that are one version older: they speak the protocol before, and do not know a kind and a field of this version.

In one process with newer ones: who is older is asked at every turn, so that a node can be brought up to date.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final  # functions of any form are replaced

from aimem.errors import Code, InvalidRequest
from aimem.model import ObjectState
from aimem.replication import cluster, tongue
from aimem.service import mesh
from aimem.store import Kind, kinds
from aimem.wire import PROTOCOL_OLDEST

UNKNOWN_KIND: Final = "agent"
UNKNOWN_FIELD: Final = ("link", "ended")
"""Kind and field. Ops that have either are held by an older node."""


class _Kinds(dict[str, Kind]):
    """The table of kinds, as the node whose turn it is knows them; who walks over all of it sees all."""

    def __init__(self, known: dict[str, Kind], is_older: Callable[[], bool]) -> None:
        super().__init__(known)
        self._is_older = is_older

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) and not (name == UNKNOWN_KIND and self._is_older())

    def __getitem__(self, name: str) -> Kind:
        if name not in self:
            raise KeyError(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        return super().__getitem__(name) if name in self else default


@contextlib.contextmanager
def older_nodes(is_older: Callable[[], bool]) -> Iterator[None]:
    """Make nodes older for as long as it lasts.

    Args:
      is_older: whether the node whose turn it is, is one.
    """
    with contextlib.ExitStack() as undo:
        _replace(undo, kinds.KINDS, _Kinds(dict(kinds.KINDS), is_older))
        _replace(undo, kinds.row_of, _row_of(is_older))
        _replace(undo, mesh.refuse_protocol, _refuse_protocol(is_older))
        for learned in (cluster.hear_asker, cluster.hear_answer, cluster.settle):
            _replace(undo, learned, _unlearned(learned, is_older))
        speak = tongue.Tongue.for_exchange
        undo.callback(setattr, tongue.Tongue, "for_exchange", speak)
        tongue.Tongue.for_exchange = _for_exchange(speak, is_older)  # type: ignore[method-assign]
        yield


def _replace(undo: contextlib.ExitStack, old: object, new: object) -> None:
    """Put something in the place of a name of ours wherever it was imported."""
    for module in [module for name, module in sys.modules.items() if name.startswith("aimem")]:
        for name in [name for name, value in vars(module).items() if value is old]:
            undo.callback(setattr, module, name, old)
            setattr(module, name, new)


def _row_of(is_older: Callable[[], bool]) -> Callable[[Kind, str, ObjectState], tuple[Any, ...]]:
    row_of = kinds.row_of

    def as_known(kind: Kind, key: str, state: ObjectState) -> tuple[Any, ...]:
        name, field = UNKNOWN_FIELD
        if is_older() and kind.name == name and field in state.fields:
            raise ValueError(f"a {name} has no field {field!r}")
        return row_of(kind, key, state)

    return as_known


def _refuse_protocol(is_older: Callable[[], bool]) -> Callable[[int], None]:
    refuse = mesh.refuse_protocol

    def refuse_protocol(spoken: int) -> None:
        if is_older() and spoken != PROTOCOL_OLDEST:
            raise InvalidRequest(
                f"this node speaks protocol {PROTOCOL_OLDEST} of the mesh, not {spoken}", code=Code.PROTOCOL_MISMATCH,
                field="protocol", protocols=[PROTOCOL_OLDEST],
            )
        refuse(spoken)

    return refuse_protocol


def _unlearned(learned: Callable[..., Any], is_older: Callable[[], bool]) -> Callable[..., Any]:
    async def unlearned(*told: Any) -> None:
        if not is_older():
            await learned(*told)

    return unlearned


def _for_exchange(
    speak: Callable[[tongue.Tongue, float], int], is_older: Callable[[], bool]
) -> Callable[[tongue.Tongue, float], int]:
    def for_exchange(own: tongue.Tongue, now: float) -> int:
        if is_older():
            own.protocol = PROTOCOL_OLDEST
        return speak(own, now)

    return for_exchange
