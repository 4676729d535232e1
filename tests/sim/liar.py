"""A member that lies: a whole node that keeps to the rules within, and whose words are changed as they leave it.

It has a key of its own and signs with it what it likes; the keys of others it has not. What it tells of its own rows
and clock nobody can hold against anything, so of that it lies in nothing but what its signature is under.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import httpx
import msgspec
import trio
from msgspec import Struct
from msgspec.structs import replace

from aimem.errors import AimemError
from aimem.model import (
    Attestation,
    Create,
    Dot,
    Endorsement,
    Entry,
    Evidence,
    FieldValue,
    HeadProof,
    Op,
    Stamp,
    StreamHead,
    StreamId,
    chain_hash,
    closing_words,
    encode_entry,
    endorsement_digest,
    hlc_at,
)
from aimem.model.op import link_hash
from aimem.ports import Signer
from aimem.store import STREAM, Transaction, pins
from aimem.store.kinds import LIVE
from aimem.wire import op_out
from tests.sim.badges import OPERATOR
from tests.sim.lies import Headers, read_message
from tests.sim.poison import another_mesh, spoil
from tests.sim.sealing import Sealing
from tests.sim.swarm import Fault, Lie, Swarm
from tests.sim.trace import Trace
from tests.sim.watch import Watcher

if TYPE_CHECKING:
    from tests.sim.machine import Machine
    from tests.sim.network import Parcel

PUSH: Final = "/api/v1/sync/push"
SNAPSHOT: Final = "/api/v1/sync/snapshot"
RATE: Final = 0.3
"""Of its messages between nodes: so many are lies."""
KEPT: Final = 40
"""Messages that it keeps of others and of itself, to say them again."""
FORGED_MARK: Final = "forged"
BUSY_S: Final = 3.0


class _Old(NamedTuple):
    """What was said once; `hearer` is empty for a request."""

    hearer: str
    headers: Headers
    body: bytes


class Telling(Struct):
    """A message that is about to leave it.

    Attributes:
      told: what it says; may be changed.
      hearer: the machine that it is for.
      is_answer: whether it was asked.
      node: the name that it signs by.
      line: keys that it says were its before; None for those that were.
      verbatim: an old message that it sends instead, with the signature that it had.
    """

    told: dict[str, Any]
    hearer: str
    is_answer: bool
    node: str
    line: tuple[Endorsement, ...] | None = None
    verbatim: _Old | None = None

    @property
    def claims(self) -> dict[str, Any]:
        """Where it says what it knows: a snapshot has a manifest for that."""
        manifest = self.told.get("manifest")
        return manifest if isinstance(manifest, dict) else self.told


async def busy_liar(liar: Liar, way: httpx.AsyncBaseTransport, until: float) -> None:
    """Have the liar's node write a thing or two of its own, of which nobody is told."""
    name, rng = liar.name, random.Random("busy liar")
    async with httpx.AsyncClient(transport=way, timeout=None, headers=dict(OPERATOR.headers)) as http:
        while trio.current_time() < until:
            await trio.sleep(rng.expovariate(1 / BUSY_S))
            liar.usurp()
            body = {"title": f"own {rng.getrandbits(32):08x}", "content": "word of its own", "namespace": "a"}
            with trio.move_on_after(BUSY_S), suppress(httpx.TransportError):
                await http.post(f"http://{name}/api/v1/memories", json=body)


class Liar:
    """Stands at the door of one machine.

    Attributes:
      name: of the machine.
      has_stopped: whether it signs nothing new any more; it lies on.
    """

    def __init__(self, swarm: Swarm, machines: Mapping[str, Machine], watcher: Watcher, trace: Trace) -> None:
        self.name, self.has_stopped = swarm.names[-1], False
        self._lies, self._rng, self._forgets = swarm.member_lies, swarm.rng("liar"), any(map(swarm.has, _FORGETTING))
        self._machines, self._seals, self._watcher, self._trace = machines, watcher.seals, watcher, trace
        self._sealing = Sealing(watcher.seals)
        self._old: list[_Old] = []
        self._two: dict[tuple[Dot, bool], Op] = {}

    def hear(self, asked: Parcel) -> None:
        """Keep what somebody asked it."""
        if asked.path == PUSH and read_message(asked.headers, asked.body) is not None:
            self._keep(_Old("", asked.headers, asked.body))

    def ask(self, parcel: Parcel) -> Parcel:
        """What leaves it instead of a request to another node."""
        lie = self._lie(parcel.target, parcel, parcel.headers, parcel.body, is_answer=False)
        if lie is None or lie.verbatim is not None:
            return parcel if lie is None else replace(parcel, headers=lie.verbatim.headers, body=lie.verbatim.body)
        body = msgspec.json.encode(lie.told)
        target = (parcel.raw_path + (b"?" + parcel.query if parcel.query else b"")).decode()
        headers = self._sealing.request(
            self._signer, parcel.method, target, _plain(parcel.headers), body, node=lie.node, line=lie.line,
        )
        return replace(parcel, headers=headers, body=body)

    def answer(self, asked: Parcel, status: int, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
        """What leaves it instead of an answer to another node."""
        lie = self._lie(asked.source, asked, headers, body, is_answer=True)
        if lie is None or lie.verbatim is not None:
            return (headers, body) if lie is None else (lie.verbatim.headers, lie.verbatim.body)
        body = msgspec.json.encode(lie.told)
        return self._sealing.answer(self._signer, asked.headers, status, _plain(headers), body, node=lie.node), body

    def take(self, asked: Parcel, status: int, headers: Headers, body: bytes) -> Headers:
        """What its node hears of an answer to what it asked, before that was changed."""
        return self._sealing.taken(asked.headers, status, headers, body)

    def _lie(self, hearer: str, parcel: Parcel, headers: Headers, body: bytes, *, is_answer: bool) -> Telling | None:
        told = read_message(headers, body) if parcel.path in (PUSH, SNAPSHOT) else None
        if told is None or "vector" not in told or self._store is None or self._rng.random() > RATE:
            return None
        if told.pop("thin", False) and is_answer:       # it lies in whole sentences
            asked = read_message(parcel.headers, parcel.body) or {}
            lacks = told.pop("lacks", ())
            kept = {stream: head for stream, head in asked.get("vector", {}).items() if stream not in lacks}
            told["vector"] = {**kept, **told["vector"]}
        elif "assumed" in told:
            told["assumed"] = {**{stream: head[0] for stream, head in told["vector"].items()}, **told["assumed"]}
        telling = Telling(told=told, hearer=hearer, is_answer=is_answer, node=self.name)
        self._keep(_Old(hearer if is_answer else "", headers, body))
        chosen = [lie for lie in self._lies if lie in (_TRICKS if parcel.path == PUSH else _OF_SNAPSHOTS)]
        for lie in self._rng.sample(chosen, min(len(chosen), self._rng.choice([1, 1, 2]))):
            if _TRICKS[lie](self, telling):
                self._trace.note(f"liar.{lie.value}", hearer)
        return telling

    def _keep(self, old: _Old) -> None:
        if len(self._old) >= KEPT:
            del self._old[self._rng.randrange(KEPT)]
        self._old.append(old)

    @property
    def _signer(self) -> Signer:
        return self._seals.signers[self._store.stream]

    @property
    def _store(self) -> Any:
        process = self._machines[self.name].process
        return None if process is None else process.store

    def _victim(self, telling: Telling) -> StreamId | None:
        """A stream of somebody honest; mostly the hearer's own."""
        mine, rng = self._store.stream, self._rng
        hearers = self._machines[telling.hearer].process
        if rng.random() < 0.5 and hearers is not None and hearers.store is not None:
            return hearers.store.stream if self._knows(hearers.store.stream) else None
        others = [stream for stream in sorted(self._store.log.heads) if not self._is_own(stream) and stream != mine]
        return rng.choice(others) if others else None

    def _knows(self, stream: StreamId) -> bool:
        return stream in self._store.log.heads

    def _is_own(self, stream: StreamId) -> bool:
        return self._seals.owners.get(stream) == self.name

    def more(self, telling: Telling) -> bool:
        """Tell of ops that nobody wrote: of others, or of its own stream."""
        stream = self._victim(telling) if self._rng.random() < 0.8 else self._store.stream
        head = None if stream is None else self._store.log.heads.get(stream)
        if head is None:
            return False
        self._pretend(telling, stream, head, self._rng.choice([1, 1, 3, 1000]))
        return True

    def other_end(self, telling: Telling) -> bool:
        """Tell of another last op than there is."""
        stream = self._victim(telling)
        if stream is None:
            return False
        self._pretend(telling, stream, self._store.log.heads[stream], 0)
        return True

    def less(self, telling: Telling) -> bool:
        """Know nothing of somebody, or of anybody."""
        if self._rng.random() < 0.3:
            telling.told["vector"] = {}
        elif (stream := self._victim(telling)) is not None:
            telling.told["vector"].pop(stream, None)
        return True

    def closed(self, telling: Telling) -> bool:
        """Say that an honest stream is closed, and that everybody joined its rows."""
        stream = self._victim(telling)
        if stream is None or "closed" not in telling.told:
            return False
        telling.told["closed"][stream] = sorted(self._rng.sample(sorted({*self._store.log.heads}), 1))
        head, key = self._store.log.heads[stream], self._seals.signers[stream].public_key
        signed = tuple(
            Attestation(head.seq, head.hlc, self._proof(stream, head.seq, head.hlc)[0]) for _ in range(2)
        )
        word = Evidence(key=key, closing=self._signer.sign(closing_words(stream)))
        said = self._rng.choice([None, Evidence(signed=signed), Evidence(signed=signed[:1] * 2), word, Evidence()])
        if said is not None:
            telling.told["evidence"][stream] = msgspec.to_builtins(said)
        return True

    def forked(self, telling: Telling) -> bool:
        """Refuse what was sent, for its writer had signed something else."""
        stream = self._victim(telling)
        if not telling.is_answer or stream is None:
            return False
        seq = self._store.log.heads[stream].seq
        telling.told |= {"stopped": "fork", "stopped_at": f"{stream}:{self._rng.randint(1, seq + 1)}"}
        return True

    def name_another(self, telling: Telling) -> bool:
        """Be somebody else, or a stranger; now and then with the stream of the one whose name it takes.

        Not to one that never met the owner of a name: who comes first under it has it, as the manual says.
        """
        other = self._rng.choice([*sorted(self._machines), "stranger"])
        if other != "stranger" and not self._has_met(telling.hearer, other):
            return False
        process = None if other == "stranger" else self._machines[other].process
        telling.told["node"] = telling.node = other
        if process is not None and process.store is not None and self._rng.random() < 0.3:
            telling.told["stream"] = process.store.stream
            key = self._seals.signers[process.store.stream].public_key
            telling.line = (Endorsement(key, self._signer.sign(endorsement_digest(self._signer.public_key))),)
        return True

    def _has_met(self, hearer: str, other: str) -> bool:
        process = self._machines[hearer].process
        return process is not None and process.writer is not None and other in pins.load(process.writer)

    def replay(self, telling: Telling) -> bool:
        """Say something old instead, as it was said or under its own signature.

        Under its own not what others were answered: in which order ops of several streams come is the sender's word,
        and right only beyond what was known to whoever asked.
        """
        hearer = telling.hearer if telling.is_answer else ""
        if self._rng.random() < 0.5 and self._old:
            telling.verbatim = self._rng.choice(self._old)
            return True
        old = [one for one in self._old if one.hearer == hearer]
        told = None if not old else read_message(*self._rng.choice(old)[1:])
        telling.told = told or telling.told
        return True

    def forge(self, telling: Telling) -> bool:
        """Write an op in somebody else's name."""
        stream = self._victim(telling)
        if stream is None or not self._can_send(telling):
            return False
        head, key = self._store.log.heads[stream], self._seals.signers[self._store.stream]
        forged = self._op(head, key.sign)
        telling.told["ops"].append(msgspec.to_builtins(op_out(forged)))
        telling.told["vector"][stream] = _head_of(forged)
        return True

    def equivocate(self, telling: Telling) -> bool:
        """Sign one op for half of the others, and another one in its place for the rest."""
        store, rng = self._store, self._rng
        head, signer = store.log.heads.get(store.stream), self._seals.signers[store.stream]
        if self.has_stopped or head is None or not self._can_send(telling):
            return False
        which = telling.hearer, Dot(store.stream, head.seq + 1)
        is_even = sorted(self._machines).index(which[0]) % 2 == 0
        if (which[1], is_even) not in self._two:
            if rng.random() > 0.1:
                return False
            self._watcher.lied.add(store.stream)
            self._two |= {(which[1], half): self._op(head, signer.sign) for half in (True, False)}
        op = self._two[which[1], is_even]
        telling.told["ops"].append(msgspec.to_builtins(op_out(op)))
        telling.told["vector"][store.stream] = _head_of(op)
        return True

    def _pretend(self, telling: Telling, stream: StreamId, head: StreamHead, beyond: int) -> None:
        """Claim a head, and perhaps prove it as well as it can."""
        seq, hlc = head.seq + beyond, head.hlc + beyond
        proof, hashed = self._proof(stream, seq, hlc)
        telling.claims["vector"][stream] = [seq, hlc, base64.b64encode(hashed).decode()]
        if self._is_own(stream):
            self._watcher.lied.add(stream)      # it signed that, and will sign another op in its place
        if self._rng.random() < 0.6:
            telling.claims["proofs"][stream] = msgspec.to_builtins(proof)

    def _proof(self, stream: StreamId, seq: int, hlc: int) -> tuple[HeadProof, bytes]:
        """What would show that an op is there, but for the key. Returns: it, and the op's hash."""
        previous, body = self._rng.randbytes(32), self._rng.randbytes(32)
        hashed = link_hash(Stamp(hlc, stream), seq, "store", previous, body)
        key = self._rng.choice([self._signer, self._seals.signers[stream]]).public_key
        proof = HeadProof(kind="store", previous=previous, body=body, signature=self._signer.sign(hashed), key=key)
        return proof, hashed

    def usurp(self) -> None:
        """Write, by the rules and in its own stream, to what says whose stream another one is."""
        process, rng = self._machines[self.name].running, self._rng
        streams = sorted(self._store.log.heads) if self._store is not None else []
        victims = [stream for stream in streams if not self._is_own(stream)]
        if Lie.USURP not in self._lies or process is None or process.store is None or not victims:
            return
        victim, write = rng.choice(victims), partial(process.store.write, _emit)
        fields: list[dict[str, FieldValue]] = [
            {"public_key": self._signer.public_key.hex()}, {"public_key": "nonsense"}, {"node": self.name},
            {"predecessor": process.store.stream}, {"certificate": None},
        ]
        entry = Entry(kind=STREAM.name, key=victim, fields=rng.choice(fields))
        if rng.random() < 0.2:
            entry = Entry(kind=STREAM.name, key=victim, dead=True)
        self._trace.note("liar.usurp", victim[:6])
        process.spawn(_try, write, entry)

    def trimmed(self, telling: Telling) -> bool:
        """Have the other fetch everything."""
        telling.told["trimmed"] = True
        return True

    def snapshot(self, telling: Telling) -> bool:
        """Give a snapshot that is none.

        Who writes in another's name is taken no more ops of: what a snapshot that broke off left of its rows would be
        where it was joined, and nowhere else. So of such a one it breaks off before the first chunk.
        """
        if Lie.USURP in self._lies and not telling.told.get("manifest"):
            return False
        return spoil(self._rng, telling.told)

    def full(self, telling: Telling) -> bool:
        """Take no more of somebody, and so have all of it, for the log of whoever hears that."""
        stream = self._victim(telling)
        if stream is not None:
            telling.told["full"] = [*telling.told.get("full", ()), stream]
            self._watcher.kept_back.add(stream)
        return stream is not None

    def cluster(self, telling: Telling) -> bool:
        """Belong to another mesh.

        Not to one that does not know to which it belongs: it takes the first word of any member for that, as the manual
        says. So not where files are lost, either, for the word may be on its way meanwhile.
        """
        process = self._machines[telling.hearer].process
        store = None if process is None else process.store
        if store is None or not store.cluster or self._forgets:
            return False
        telling.told["cluster"] = another_mesh(self._rng)
        return True

    def _can_send(self, telling: Telling) -> bool:
        """Whether an op of its own choice would be looked at by whoever hears it; makes it so."""
        if "ops" not in telling.told:
            return False
        telling.told["ops"] = []
        if "assumed" in telling.told:
            telling.told["assumed"] = {}
        return True

    def _op(self, head: StreamHead, sign: Callable[[bytes], bytes]) -> Op:
        """An op that follows a head, and makes a memory."""
        rng = self._rng
        key = f"f06ed000-0000-4000-8000-{rng.getrandbits(48):012x}"
        self._watcher.touched.add(key)
        now = hlc_at(self._machines[self.name].clock.now())
        stamp = Stamp(max(now, head.hlc + 1), head.stream)
        entries = (encode_entry(_memory(key, stamp, rng)),)
        dot = Dot(head.stream, head.seq + 1)
        hashed = chain_hash(dot, stamp, "store", entries, head.chain_hash)
        return Op(
            dot=dot, stamp=stamp, kind="store", entries=entries, previous=head.chain_hash, signature=sign(hashed),
        )


def _emit(transaction: Transaction, entry: Entry) -> None:
    transaction.emit("stream", [entry])


async def _try(write: Callable[[Entry], Awaitable[object]], entry: Entry) -> None:
    with suppress(AimemError):
        await write(entry)


def _memory(key: str, stamp: Stamp, rng: random.Random) -> Entry:
    at = (stamp.hlc >> 16) * 1000
    return Entry(kind="memory", key=key, create=Create(author="ai:liar"), fields={
        "name": ("a", f"{FORGED_MARK} {rng.getrandbits(32):08x}"), "content": f"word {FORGED_MARK}", "tags": (),
        "tier": "long", "priority": 5, "confidence": 1.0, "source": "api", "metadata": "{}", "scope": None,
        "expires_at": None, "lifecycle": LIVE, "created_at": at, "updated_at": at,
    })


def _head_of(op: Op) -> list[Any]:
    hashed = chain_hash(op.dot, op.stamp, op.kind, op.entries, op.previous)
    return [op.dot.seq, op.stamp.hlc, base64.b64encode(hashed).decode()]


def _plain(headers: Headers) -> Headers:
    return tuple(
        (name, value) for name, value in headers if name.lower() not in (b"content-encoding", b"content-length")
    )


_OF_SNAPSHOTS: Final = frozenset({Lie.MORE, Lie.OTHER_END, Lie.SNAPSHOT})
_FORGETTING: Final = frozenset({Fault.LOSE, Fault.RESTORE, Fault.COPY, Fault.JOIN, Fault.REMOVE, Fault.REJOIN})
_TRICKS: Final[Mapping[Lie, Callable[[Liar, Telling], bool]]] = {
    Lie.MORE: Liar.more, Lie.OTHER_END: Liar.other_end, Lie.LESS: Liar.less, Lie.CLOSED: Liar.closed,
    Lie.FORKED: Liar.forked, Lie.NAME: Liar.name_another, Lie.REPLAY: Liar.replay, Lie.FORGE: Liar.forge,
    Lie.EQUIVOCATE: Liar.equivocate, Lie.TRIMMED: Liar.trimmed, Lie.SNAPSHOT: Liar.snapshot, Lie.FULL: Liar.full,
    Lie.CLUSTER: Liar.cluster,
}
