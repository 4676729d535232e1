"""Why a node says nothing, or not all: what happened, and what to do about it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from enum import StrEnum

from msgspec import Struct

from aimem.errors import AimemError, Code, Denied, Unauthenticated, Unavailable


class TroubleKind(StrEnum):
    """A word for the state of a node that cannot be asked."""

    OFFLINE = "offline"
    SLOW = "no answer"
    CERTIFICATE = "refused"
    LOCKED = "no entry"
    FOREIGN = "not ours"
    FAILING = "failing"


class Trouble(Struct, frozen=True, kw_only=True):
    """What is wrong with the way to a node, in a sentence, and the next step."""

    kind: TroubleKind
    what: str
    advice: str


def trouble_of(error: BaseException, door: str, *, is_local: bool = False) -> Trouble:
    """The trouble that an error tells of.

    Args:
      door: the address that was asked, or the path of the database's socket if it `is_local`.
    """
    if isinstance(error, Unauthenticated):
        return _locked(error)
    if isinstance(error, Denied):
        advice = ("start the console with the key of an operator (--key, or AI_MEMORY_API_KEY)"
                  if error.code == Code.OPERATOR_REQUIRED else "ask an operator of that node for access")
        return Trouble(kind=TroubleKind.LOCKED, what=error.message, advice=advice)
    found = next((made for cause in _causes(error) if (made := _of_cause(cause, door)) is not None), None)
    if found is not None and not (is_local and found.kind is TroubleKind.OFFLINE):
        return found
    if isinstance(error, TimeoutError) or (isinstance(error, AimemError) and error.code == Code.DEADLINE_EXCEEDED):
        return Trouble(
            kind=TroubleKind.SLOW, what=f"{door} does not answer in time",
            advice="look whether its machine is overloaded, or whether a firewall drops what it is sent",
        )
    if is_local and isinstance(error, Unavailable) and "cannot reach" in error.message:
        return Trouble(
            kind=TroubleKind.OFFLINE, what=f"no daemon answers at {door}",
            advice="start one with `ai-memory serve`, or name another node with --url or --db",
        )
    if isinstance(error, Unavailable) and "cannot reach" in error.message:
        return Trouble(
            kind=TroubleKind.OFFLINE, what=error.message.partition("; is it running")[0],
            advice="look whether its daemon runs, and whether it is https:// or http:// there",
        )
    if isinstance(error, Unavailable) and ("is no ai-memory node" in error.message or "understood" in error.message):
        return Trouble(
            kind=TroubleKind.FOREIGN, what=error.message,
            advice="check the address; if it is right, give that node and this console the same version",
        )
    if isinstance(error, AimemError):
        return Trouble(kind=TroubleKind.FAILING, what=error.message, advice="see the log of that node")
    return Trouble(kind=TroubleKind.FAILING, what=f"{type(error).__name__}: {error}",
                   advice="please report this with the version of the console")


def _locked(error: Unauthenticated) -> Trouble:
    advice = {
        Code.KEY_EXPIRED: "make another with `ai-memory agents key add` on that node, and start with --key",
        Code.KEY_REVOKED: "make another with `ai-memory agents key add` on that node, and start with --key",
    }.get(error.code, "start with --key KEY, or set AI_MEMORY_API_KEY; without --url the local socket needs none")
    return Trouble(kind=TroubleKind.LOCKED, what=error.message, advice=advice)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """What an error comes from, the nearest first."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [cause for cause in (one.__cause__, one.__context__) if cause is not None]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions


def _of_cause(cause: BaseException, door: str) -> Trouble | None:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Trouble(
            kind=TroubleKind.CERTIFICATE,
            what=f"the certificate of {door} is not believed: {getattr(cause, 'verify_message', '') or cause}",
            advice="name who signed it with --ca-cert, and the host by a name that stands in it",
        )
    if isinstance(cause, ssl.SSLError):
        return _of_tls(cause, door)
    if isinstance(cause, socket.gaierror):
        return Trouble(kind=TroubleKind.OFFLINE, what=f"nobody knows the host of {door}",
                       advice="check how the name in --url is written")
    if isinstance(cause, ConnectionRefusedError):
        return Trouble(kind=TroubleKind.OFFLINE, what=f"nothing listens at {door}",
                       advice="start its daemon (`ai-memory serve`), or check the port in --url")
    return None


def _of_tls(cause: ssl.SSLError, door: str) -> Trouble:
    words = (getattr(cause, "reason", None) or str(cause)).lower().replace("_", " ")
    if "alert" in words:
        return Trouble(
            kind=TroubleKind.CERTIFICATE, what=f"{door} turned us away: {words.rpartition('alert ')[2]}",
            advice="show a certificate that is on its list, with --client-cert and --client-key",
        )
    return Trouble(kind=TroubleKind.CERTIFICATE, what=f"{door} does not speak TLS as we do: {words}",
                   advice="check whether it is https:// or http:// there")
