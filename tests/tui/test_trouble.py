"""What is wrong with the way to a node, and what to do about it, as a sentence each."""

from __future__ import annotations

import socket
import ssl

import pytest

from aimem.errors import Bug, Code, Denied, Unauthenticated, Unavailable
from aimem_tui.trouble import TroubleKind, trouble_of

DOOR = "https://a:1"


def unreachable(cause: BaseException) -> Unavailable:
    error = Unavailable("cannot reach the node at https://a:1: it broke")
    error.__cause__ = ConnectionError("wrapped")
    error.__cause__.__cause__ = cause
    return error


def verification() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


def alert() -> ssl.SSLError:
    error = ssl.SSLError(1, "alert")
    error.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    return error


@pytest.mark.parametrize(("error", "kind", "what", "advice"), [
    (unreachable(ConnectionRefusedError()), TroubleKind.OFFLINE, "nothing listens at https://a:1", "ai-memory serve"),
    (unreachable(socket.gaierror()), TroubleKind.OFFLINE, "nobody knows the host", "--url"),
    (unreachable(verification()), TroubleKind.CERTIFICATE, "not believed: self-signed", "--ca-cert"),
    (unreachable(alert()), TroubleKind.CERTIFICATE, "turned us away: certificate required", "--client-cert"),
    (unreachable(ssl.SSLError(1, "[SSL] wrong version")), TroubleKind.CERTIFICATE, "does not speak TLS", "http://"),
    (Unavailable("cannot reach the node at https://a:1: it left; is it running? start it"), TroubleKind.OFFLINE,
     "https://a:1: it left", "https:// or http://"),
    (Unauthenticated("the key expired", code=Code.KEY_EXPIRED), TroubleKind.LOCKED, "expired", "agents key add"),
    (Unauthenticated("a key is needed"), TroubleKind.LOCKED, "a key is needed", "AI_MEMORY_API_KEY"),
    (Denied("only operators", code=Code.OPERATOR_REQUIRED), TroubleKind.LOCKED, "only operators", "operator"),
    (Denied("no"), TroubleKind.LOCKED, "no", "ask an operator"),
    (Unavailable("no answer", code=Code.DEADLINE_EXCEEDED), TroubleKind.SLOW, "does not answer in time", "firewall"),
    (TimeoutError(), TroubleKind.SLOW, "does not answer in time", "firewall"),
    (Unavailable("the answer (status 200) is no ai-memory node's; check the address"), TroubleKind.FOREIGN,
     "no ai-memory node", "same version"),
    (Unavailable("the answer to GET /x is not understood: y"), TroubleKind.FOREIGN, "not understood", "same version"),
    (Bug("internal error"), TroubleKind.FAILING, "internal error", "log"),
])
def test_every_trouble_says_what_happened_and_what_to_do(
    error: BaseException, kind: TroubleKind, what: str, advice: str
) -> None:
    found = trouble_of(error, DOOR)
    assert found.kind is kind
    assert what in found.what
    assert advice in found.advice


def test_a_socket_that_nobody_serves_asks_for_a_daemon() -> None:
    found = trouble_of(unreachable(FileNotFoundError()), "/x/ai-memory.db", is_local=True)
    assert (found.kind, found.what) == (TroubleKind.OFFLINE, "no daemon answers at /x/ai-memory.db")
    assert "ai-memory serve" in found.advice
    assert trouble_of(unreachable(ConnectionRefusedError()), "/x/ai-memory.db", is_local=True).what == found.what
