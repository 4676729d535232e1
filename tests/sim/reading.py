"""What nodes are asked when all is quiet: each takes writes again, all show the same, and what was lost comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import httpx
import msgspec
import trio

from aimem.errors import Bug
from tests.sim.history import Attempt, Deed, read_answer
from tests.sim.watch import Watcher

PATHS: Final = (
    "/memories?limit=200", "/archive?limit=200", "/agents?limit=200", "/pending?limit=200", "/namespaces?limit=200",
    "/inbox?limit=200", "/search?q=word&limit=100", "/export",
)
OWN_TO_A_NODE: Final = frozenset({
    "access_count", "last_accessed_at", "score", "orphaned", "exported_at", "why", "elapsed_ms", "took_ms",
})
"""Fields that may differ from node to node, or with the moment."""
WRITES_AGAIN_S: Final = 30.0
"""A node alone asks its peers again within five seconds, and each exchange may take ten."""
ANSWERS_S: Final = 10.0
EXPIRES_SOON_S: Final = 120.0
TRIES: Final = 8
"""Clocks that are four seconds apart show two rows that expire one after the other differently for nearly as often."""
PAUSE_S: Final = 3.0


async def check_writes(
    http: httpx.AsyncClient, names: Sequence[str], deeds: list[Deed], watcher: Watcher, *, check: str = "liveness",
    within_s: float = WRITES_AGAIN_S,
) -> list[Deed]:
    """Every node takes a write and has it acknowledged, before long. Returns: these writes."""

    async def write(name: str, deed: Deed) -> None:
        with trio.move_on_after(within_s):
            while deed.done is None:
                deed.attempts.append(await _write(http, name, deed))
                if deed.done is None:
                    await trio.sleep(1.0)
        watcher.checks += 1
        if deed.done is None:
            last = deed.attempts[-1].answer if deed.attempts else "nothing"
            watcher.find(check, f"{name} takes no write {within_s:g} s after the storm: {last}")

    written = []
    async with trio.open_nursery() as nursery:
        for name in names:
            number = len(deeds)
            deeds.append(Deed(number=number, kind="store", key=f"{check}-{name}", mark=f"m{number}q", subjects=()))
            written.append(deeds[-1])
            nursery.start_soon(write, name, deeds[-1])
    return written


async def _write(http: httpx.AsyncClient, name: str, deed: Deed) -> Attempt:
    """Try once; whoever does not answer is asked again under the same key."""
    began, status, told = trio.current_time(), 0, {}
    body = {"title": f"calm {deed.mark}", "content": f"word {deed.mark}", "namespace": "a"}
    with trio.move_on_after(ANSWERS_S), suppress(httpx.TransportError):
        answer = await http.post(
            f"http://{name}/api/v1/memories", content=msgspec.json.encode(body),
            headers={"Content-Type": "application/json", "Idempotency-Key": deed.key},
        )
        status, told = answer.status_code, read_answer(answer.content)
    return Attempt(name, began, trio.current_time(), status, told)


async def check_answers(http: httpx.AsyncClient, names: Sequence[str], now: str, watcher: Watcher) -> None:
    """All nodes show the same to whoever asks."""
    for path in PATHS:
        for attempt in range(TRIES):
            shown = {name: await _shown(http, name, path, now) for name in names}
            watcher.checks += len(shown)
            other = next((name for name in names if shown[name] != shown[names[0]]), None)
            if other is None:
                break
            if attempt == TRIES - 1:
                one, two = set(shown[names[0]]), set(shown[other])
                said = f"{names[0]} alone: {sorted(one - two)[:2]}; {other} alone: {sorted(two - one)[:2]}"
                watcher.find("answers", f"GET {path}: {said}")
            await trio.sleep(PAUSE_S)


async def _shown(http: httpx.AsyncClient, name: str, path: str, soon: str) -> list[str]:
    """An answer as sorted texts, one an entry of its lists, without what may differ."""
    answer = await http.get(f"http://{name}/api/v1{path}")
    told = read_answer(answer.content)
    if answer.status_code != httpx.codes.OK:
        raise Bug(f"GET {path} is no question: {told}")
    found = []
    for key, value in told.items():
        entries = value if isinstance(value, list) else []
        for entry in entries:
            if isinstance(entry, dict) and not _expires(entry, soon):
                found.append(f"{key} {msgspec.json.encode(_common(entry), order='sorted').decode()}")
    return sorted(found)


async def check_alarms(http: httpx.AsyncClient, names: Sequence[str], watcher: Watcher) -> None:
    """Who signed two ops for one dot is told of by every node."""
    for name in names:
        missing = frozenset(watcher.two_faced)
        for _ in range(TRIES):
            told = read_answer((await http.get(f"http://{name}/api/v1/mesh")).content)
            alarms = " ".join(told.get("alarms", ()))  # type: ignore[call-overload]
            missing = frozenset(stream for stream in missing if stream not in alarms)
            if not missing:
                break
            await trio.sleep(PAUSE_S)
        watcher.checks += len(watcher.two_faced)
        for stream in sorted(missing):
            watcher.find("alarm", f"{name} does not say that two ops were signed for one dot of {stream[:6]}")


def _expires(entry: Mapping[str, Any], soon: str) -> bool:
    memory = entry.get("memory", entry)
    until = memory.get("expires_at") if isinstance(memory, dict) else None
    return isinstance(until, str) and until < soon


def _common(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _common(one) for key, one in value.items() if key not in OWN_TO_A_NODE}
    return [_common(one) for one in value] if isinstance(value, list) else value


async def mend(http: httpx.AsyncClient, names: Sequence[str]) -> None:
    """Do what an operator does whose nodes differ: compare each with each, and get back what it lost."""
    for name in names:
        for peer in names:
            after: object = None
            while peer != name:
                body = {"peer": f"http://{peer}", "repair": True, "after": after}
                answer = await http.post(f"http://{name}/api/v1/mesh/verify", json=body)
                after = read_answer(answer.content).get("after")
                if after is None:
                    break
