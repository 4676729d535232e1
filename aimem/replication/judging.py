"""Whether somebody is who it says it is: a name is its who first came under it, and whom that one vouches for. Pure.

The key of a claim has signed what it came with; what is judged here is whether it is the key of that name.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from aimem.errors import Code, Denied
from aimem.model import Instant, NodeClaim, Shown
from aimem.replication.proof import descends
from aimem.store import Pin, pins

SHOWN_DIGITS: Final = 16
"""Of a key, for people: enough to compare, and to tell two apart."""


class Acquaintance(Struct, frozen=True, kw_only=True):
    """What this node knows that bears on a claim.

    Attributes:
      name, keys: its own, and all keys (hex) that it had.
      own_certificates: fingerprints of those that it shows itself.
      pins: by name.
      listed: fingerprints of the certificates that may connect; None without such a list.
      opened_as: the name in the opening op of the claim's stream; None if that is not known here.
      now: when the claim came.
    """

    name: str
    keys: frozenset[str]
    own_certificates: frozenset[str] = frozenset()
    pins: Mapping[str, Pin]
    listed: frozenset[str] | None = None
    opened_as: str | None
    now: Instant


class Accepted(Struct, frozen=True, kw_only=True):
    """It is believed.

    Attributes:
      pin: what is to be remembered of the name from now on; None if that is remembered already.
      change: what is new about it, for the log; empty if nothing is.
      cleared: what is to be remembered of others, by name: they showed this one's certificate, and are not known by it
        any more.
    """

    pin: Pin | None = None
    change: str = ""
    cleared: Mapping[str, Pin] = {}


class Refused(Struct, frozen=True, kw_only=True):
    """It is not believed.

    Attributes:
      waits: whether a person here can accept it under the name that it claims.
      holder: the node by whose certificate it came, if that is why; else empty.
    """

    code: Code
    sentence: str
    waits: bool = False
    holder: str = ""


def judge_claim(claim: NodeClaim, shown: Shown, known: Acquaintance) -> Accepted | Refused:
    """Decide whether a claim is believed.

    Args:
      shown: the certificate on the connection that it came by.
    """
    if known.opened_as is not None and known.opened_as != claim.node:
        return Refused(
            code=Code.NAME_OF_ANOTHER,
            sentence=f"the stream {claim.stream} was opened by {known.opened_as!r}, not by {claim.node!r}",
        )
    if claim.node == known.name:
        return _judge_namesake(claim, known)
    if shown.fingerprint in known.own_certificates:
        # Also where that name is known by it: it may have shown it while this node showed another.
        return Refused(code=Code.CERTIFICATE_OF_ANOTHER, sentence=(
            f"node {claim.node!r} shows the certificate of this node, {known.name!r}: each node needs one of its own, "
            "so give one of the two another (`ai-memory pki issue`)"
        ))
    holder = _holder(shown, claim.node, known.pins)
    # Who ran on a copy of another's files showed its own certificate under that one's name. An authority says whose it
    # is; a list does not, and then only a person can.
    if holder is not None and (claim.node not in shown.names or holder in shown.names):
        return Refused(code=Code.CERTIFICATE_OF_ANOTHER, waits=True, holder=holder, sentence=(
            f"node {claim.node!r} shows the certificate by which node {holder!r} is known here: each node needs one of "
            f"its own; if it is that of {claim.node!r}, which was renamed or ran on a copy of the other's files, run "
            f"`{trust_command(claim.node)}` here"
        ))
    pin = known.pins.get(claim.node)
    verdict = _judge_first(claim, shown, known) if pin is None else _judge_known(claim, shown, pin)
    verdict = _judge_listed(claim.node, verdict, pin, known.listed)
    if holder is None or isinstance(verdict, Refused):
        return verdict
    return replace(verdict, cleared=cleared(known.pins, claim.node, shown))


def cleared(known: Mapping[str, Pin], node: str, shown: Shown) -> dict[str, Pin]:
    """What is left of others, by name, that are known by a certificate which is this node's.

    Whoever is left with none has not been seen on the list: or it would count as taken off, and nobody spoke to it.
    """
    left = {
        name: (pin, tuple(one for one in pin.certificates if one != shown.fingerprint))
        for name, pin in known.items() if name != node and shown.fingerprint in pin.certificates
    }
    return {
        name: replace(pin, certificates=kept, is_listed=pin.is_listed and bool(kept))
        for name, (pin, kept) in left.items()
    }


def trust_command(node: str) -> str:
    """What a person can run to accept a node. Whoever comes chose the name: a shell is not to run what stands in it."""
    return f"ai-memory mesh trust {'-- ' if node.startswith('-') else ''}{shlex.quote(node)}"


def own_shown(claim: NodeClaim, shown: Shown, listed: frozenset[str] | None) -> Shown:
    """What a connection shows, as far as it says something of whoever speaks on it.

    A member may hand on, word for word, what another says, both ways: its own certificate would be remembered as the
    other's, and could vouch for a key of its own under the other's name. So speakers sign what they show themselves.
    Returns: nothing shown, where another's certificate is (a proxy's) and no list makes it mean anything.
    Raises: Denied(certificate_of_another) where there is a list: it is about whoever speaks.
    """
    if shown.fingerprint is None or shown.fingerprint in claim.certificates:
        return shown
    if listed is None:
        return Shown()
    raise Denied(
        f"what node {claim.node!r} signed came over a connection with a certificate that it does not name as its own: "
        "somebody between hands it on, or its certificate was changed just now", code=Code.CERTIFICATE_OF_ANOTHER,
        field="node",
    )


def _judge_namesake(claim: NodeClaim, known: Acquaintance) -> Accepted | Refused:
    pin, key = known.pins.get(claim.node), claim.key.hex()
    family = known.keys | frozenset(() if pin is None else pin.keys)
    if key in family:
        return Accepted()
    if descends(claim, family):     # one that runs from a copy of this node
        others = () if pin is None else pin.keys
        return Accepted(
            pin=Pin(keys=(key, *others)[:pins.KEYS_MAX], since=known.now), change="a copy of this node goes on"
        )
    return Refused(code=Code.NAME_OF_ANOTHER, sentence=(
        f"this node is called {claim.node!r} too: two nodes of a mesh need two names, so start one of them with "
        "another --node-name, on a database of its own"
    ))


def _judge_first(claim: NodeClaim, shown: Shown, known: Acquaintance) -> Accepted | Refused:
    if len(known.pins) >= pins.PINS_MAX:
        return Refused(code=Code.PINS_FULL, sentence=f"{pins.PINS_MAX} nodes are known here; nobody new is heard")
    pin = Pin(keys=(claim.key.hex(),), certificates=_noted((), shown), since=known.now)
    return Accepted(pin=pin, change="first contact")


def _judge_known(claim: NodeClaim, shown: Shown, pin: Pin) -> Accepted | Refused:
    key, certificates = claim.key.hex(), _noted(pin.certificates, shown)
    is_same = certificates == pin.certificates
    if key in pin.keys:
        return Accepted() if is_same else Accepted(
            pin=replace(pin, certificates=certificates), change="another certificate"
        )
    fresh = replace(pin, keys=(key, *pin.keys)[:pins.KEYS_MAX], certificates=certificates)
    if descends(claim, pin.keys):
        return Accepted(pin=fresh, change="another key, which the one before endorsed")
    if is_vouched(claim.node, shown, pin):
        # Whoever has the certificate has set it up anew: the key before is no longer its. Nor are the certificates, if
        # only an authority knows this one: they may be of somebody who took the name first, and would vouch for him.
        fresh = replace(fresh, keys=(key,))
        if shown.fingerprint not in pin.certificates:
            fresh = replace(fresh, certificates=_noted((), shown), is_listed=False)
        return Accepted(pin=fresh, change="another key, for which its certificate vouches")
    return Refused(code=Code.NODE_UNTRUSTED, waits=True, sentence=(
        f"node {claim.node!r} was known here by another key ({pin.keys[0][:SHOWN_DIGITS]}, now "
        f"{key[:SHOWN_DIGITS]}); if it was set up anew, run `{trust_command(claim.node)}` here; if two nodes "
        "have one name, give one of them another"
    ))


def _judge_listed(
    node: str, verdict: Accepted | Refused, pin: Pin | None, listed: frozenset[str] | None
) -> Accepted | Refused:
    """Refuse whoever was on the list and is no longer, whichever of its certificates it shows, and by whatever key."""
    if isinstance(verdict, Refused) or listed is None:
        return verdict
    kept = verdict.pin or pin
    if kept is None:
        return verdict
    was_taken_off = pin is not None and is_delisted(pin, listed) and listed.isdisjoint(kept.certificates)
    if was_taken_off or is_delisted(kept, listed):
        return delisted(node)
    if kept.is_listed or listed.isdisjoint(kept.certificates):
        return verdict
    return Accepted(pin=replace(kept, is_listed=True), change=verdict.change or "it is on the list")


def delisted(node: str) -> Refused:
    """What is said of a node that is no longer on the list."""
    return Refused(code=Code.NODE_UNTRUSTED, sentence=(
        f"node {node!r} was taken off the list of those that may connect here (--mtls-allowlist): to have it back, put "
        "the fingerprint of its certificate there again and send this process SIGHUP"
    ))


def is_delisted(pin: Pin, listed: frozenset[str] | None) -> bool:
    """Whether the list has none of a node's certificates, and once had one."""
    return listed is not None and pin.is_listed and listed.isdisjoint(pin.certificates)


def is_vouched(node: str, shown: Shown, pin: Pin) -> bool:
    """Whether the certificate on a connection is the node's: the very one, or one that names it for its authority."""
    return node in shown.names or (shown.fingerprint is not None and shown.fingerprint in pin.certificates)


def _holder(shown: Shown, node: str, known: Mapping[str, Pin]) -> str | None:
    """Whose certificate it is, if it is another's."""
    if shown.fingerprint is None or shown.fingerprint in (known[node].certificates if node in known else ()):
        return None
    return next((name for name, pin in known.items() if name != node and shown.fingerprint in pin.certificates), None)


def _noted(certificates: tuple[str, ...], shown: Shown) -> tuple[str, ...]:
    if shown.fingerprint is None or shown.fingerprint in certificates:
        return certificates
    return (shown.fingerprint, *certificates)[:pins.CERTIFICATES_MAX]
