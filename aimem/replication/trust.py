"""Who this node is to others, and whom it believes: it signs what it says, and keeps which key speaks under which name.

Names and keys are kept in the database and in memory; what is judged without anything new costs no read and no write.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final

import trio
from msgspec import Struct, field

from aimem.errors import Code, Denied, NotFound
from aimem.model import SPOKEN_MAX, Endorsement, Instant, NodeClaim, Shown, StreamId
from aimem.ports import Chance, Clock
from aimem.replication.judging import (
    SHOWN_DIGITS,
    Accepted,
    Acquaintance,
    Refused,
    cleared,
    delisted,
    is_delisted,
    judge_claim,
    own_shown,
)
from aimem.replication.proof import NONCE_BYTES, RequestProof, answer_headers, own_keys, sign_request
from aimem.store import Identity, Pin, Store, Transaction, pins

log = logging.getLogger(__name__)

WAITING_MAX: Final = 64
"""Claims that a person may accept; beyond them the oldest goes, and is back as soon as it is made again."""
NAMES_MAX: Final = 8192
"""Streams whose names are kept in memory; beyond them all are looked up anew."""


Witness = Callable[[Transaction], None]


def _nobody(_: Transaction) -> None:
    pass


class Waiting(Struct, frozen=True, kw_only=True):
    """A claim that was refused, and that a person may accept.

    Attributes:
      key: public, 64 hex digits.
      known_key: the one that the name is known by; empty if it is not known.
      holder: the node by whose certificate it came, if that is why; else empty.
      at: when it was refused last.
    """

    node: str
    key: str
    known_key: str
    shown: Shown
    holder: str
    at: Instant


class Trusted(Struct, frozen=True, kw_only=True):
    """What an operator's word came to: `key` is believed from now on, None if the next one that comes will be.

    `known_key` is empty if the name was not known.
    """

    node: str
    known_key: str
    key: str | None


class TrustCounts(Struct):
    """What claims came to, for metrics."""

    refused: dict[str, int] = field(default_factory=dict)
    wrong_proofs: int = 0
    pinned: int = 0

    def note_refused(self, code: Code) -> None:
        """Count a claim that is not believed."""
        self.refused[code.value] = self.refused.get(code.value, 0) + 1


class Trust:
    """What a node knows of who others are, and how it proves who it is.

    Attributes:
      waiting: by name.
      listed: says which certificates may connect, None without such a list; whoever knows it sets it.
      shows: says which certificates this node may be showing, as client or server; set likewise.
      holds: says which of them are this node's now, and so nobody else's; set likewise.
    """

    def __init__(self, store: Store, chance: Chance, clock: Clock) -> None:
        self.counts = TrustCounts()
        self.waiting: dict[str, Waiting] = {}
        self.listed: Callable[[], frozenset[str] | None] = lambda: None
        self.shows: Callable[[], tuple[str, ...]] = tuple
        self.holds: Callable[[], tuple[str, ...]] = tuple
        self._store, self._chance, self._clock = store, chance, clock
        self._pins: dict[str, Pin] | None = None
        self._names: dict[StreamId, str] = {}
        self._changing = trio.Lock()

    @property
    def stream(self) -> StreamId:
        """The stream that this node writes, and whose key signs what it says."""
        return self._store.stream

    def pin_of(self, node: str) -> Pin | None:
        """What is remembered of a name; None also before anybody came."""
        return (self._pins or {}).get(node)

    def is_delisted(self, node: str) -> bool:
        """Whether the list has none of the certificates that a node showed so far, and once had one."""
        pin = self.pin_of(node)
        return pin is not None and is_delisted(pin, self.listed())

    def refuse_delisted(self, node: str) -> None:
        """Have nothing sent to a node that was taken off the list. Raises: Denied(node_untrusted)."""
        if self.is_delisted(node):
            raise Denied(delisted(node).sentence, code=Code.NODE_UNTRUSTED, field="node")

    def ask(self, method: str, target: str, body: bytes, *, to: str, is_known: bool) -> RequestProof:
        """Sign a request; whoever does not know this node yet is also told of the keys that it had before."""
        own = self._store.identity
        return sign_request(
            own.signer, method, target, body, node=own.node, to=to, nonce=self._chance.token(NONCE_BYTES),
            line=() if is_known else own.line, certificates=self.shows()[:SPOKEN_MAX],
        )

    def answer(self, asked: RequestProof, status: int, body: bytes, by: str | None = None) -> dict[str, str]:
        """The headers that sign an answer; whoever took this node for another one is told of the keys before, too.

        Args:
          by: fingerprint of the certificate that this node showed on the connection; None if that is not known.
        """
        own = self._store.identity
        line: tuple[Endorsement, ...] = () if asked.to == self._store.stream else own.line
        return answer_headers(
            own.signer, asked, status, body, node=own.node, line=line,
            certificates=self.shows()[:SPOKEN_MAX] if by is None else (by,),
        )

    async def admit(self, claim: NodeClaim, shown: Shown) -> None:
        """Go on with whoever signed, if it is believed, and remember what is new.

        Raises: Denied(node_untrusted, name_of_another, certificate_of_another, pins_full); Unavailable, Corrupt.
        """
        try:
            shown = own_shown(claim, shown, self.listed())
        except Denied as error:
            self.counts.note_refused(error.code)
            raise
        verdict = judge_claim(claim, shown, await self._acquaintance(claim))
        if isinstance(verdict, Accepted) and verdict.pin is not None:
            async with self._changing:
                # Another claim may have been pinned while this one waited.
                verdict = judge_claim(claim, shown, await self._acquaintance(claim))
                if isinstance(verdict, Accepted) and verdict.pin is not None:
                    await self._pin(claim.node, verdict.pin, verdict.change, verdict.cleared)
        if isinstance(verdict, Refused):
            self.counts.note_refused(verdict.code)
            if verdict.waits:
                self._keep_waiting(claim, shown, verdict.holder)
            raise Denied(verdict.sentence, code=verdict.code, field="node")
        waits = self.waiting.get(claim.node)
        if waits is not None and waits.key == claim.key.hex():
            del self.waiting[claim.node]

    async def accept(self, node: str, key: str | None, witness: Witness = _nobody) -> Trusted:
        """Believe, for a name, the key that was refused last, or whoever comes next if none was.

        Args:
          key: the beginning of the key that is meant, if the caller says.
          witness: told in the transaction that remembers it.
        Raises: NotFound if nothing is known of that name, or another key waits; Unavailable, Corrupt.
        """
        async with self._changing:
            known, waits = (await self._loaded()).get(node), self.waiting.get(node)
            if waits is not None and key is not None and not waits.key.startswith(key):
                waits = None
            if waits is None and (known is None or key is not None):
                raise NotFound(
                    f"no {'such key of a ' if key else ''}node {node[:128]!r} waits to be accepted here", field="node"
                )
            before = "" if known is None else known.keys[0]
            if waits is None:
                await self._store.write(_forget_pin, node, witness)
                del (await self._loaded())[node]
                return Trusted(node=node, known_key=before, key=None)
            shown = waits.shown.fingerprint
            await self._pin(node, Pin(
                keys=(waits.key,), certificates=() if shown is None else (shown,), since=self._clock.now()
            ), "accepted by an operator", cleared(await self._loaded(), node, waits.shown), witness)
            del self.waiting[node]
            return Trusted(node=node, known_key=before, key=waits.key)

    async def _acquaintance(self, claim: NodeClaim) -> Acquaintance:
        own: Identity = self._store.identity
        return Acquaintance(
            name=own.node, keys=own_keys(own.signer.public_key, own.line), own_certificates=frozenset(self.holds()),
            pins=await self._loaded(), listed=self.listed(), opened_as=await self._opened_as(claim.stream),
            now=self._clock.now(),
        )

    async def _loaded(self) -> dict[str, Pin]:
        if self._pins is None:
            loaded = await self._store.read(pins.load)
            if self._pins is None:      # somebody else may have been first, and have added to it
                self._pins = loaded
        return self._pins

    async def _opened_as(self, stream: StreamId) -> str | None:
        if stream in self._names:
            return self._names[stream]
        if stream not in self._store.log.heads:
            return None
        name = await self._store.read(pins.opened_as, stream)
        if name is not None:
            if len(self._names) >= NAMES_MAX:
                self._names.clear()
            self._names[stream] = name
        return name

    async def _pin(
        self, node: str, pin: Pin, change: str, others: Mapping[str, Pin], witness: Witness = _nobody
    ) -> None:
        fresh = {node: pin, **others}
        await self._store.write(_put_pins, fresh, witness)
        (await self._loaded()).update(fresh)
        self.counts.pinned += 1
        log.info("node.pinned", extra={"node": node, "key": pin.keys[0][:SHOWN_DIGITS], "change": change})

    def _keep_waiting(self, claim: NodeClaim, shown: Shown, holder: str) -> None:
        known, before = self.pin_of(claim.node), self.waiting.get(claim.node)
        if holder and before is not None and not before.holder:
            return      # whoever borrows a name does not take the place of who waits under it
        fresh = Waiting(
            node=claim.node, key=claim.key.hex(), known_key="" if known is None else known.keys[0], shown=shown,
            holder=holder, at=self._clock.now(),
        )
        # Whoever shows one certificate is one node, however many names it gives itself: the latest waits.
        for name, one in list(self.waiting.items()):
            if name == claim.node or (holder and one.holder and one.shown.fingerprint == shown.fingerprint):
                del self.waiting[name]
        if before is None or before.key != fresh.key:
            log.warning("node.untrusted", extra={"node": claim.node, "key": fresh.key[:SHOWN_DIGITS]})
        while len(self.waiting) >= WAITING_MAX:
            del self.waiting[next(iter(self.waiting))]
        self.waiting[claim.node] = fresh


def _put_pins(transaction: Transaction, fresh: Mapping[str, Pin], witness: Witness) -> None:
    for node, pin in fresh.items():
        pins.put(transaction, node, pin)
    witness(transaction)


def _forget_pin(transaction: Transaction, node: str, witness: Witness) -> None:
    pins.forget(transaction, node)
    witness(transaction)
