"""Certificates of a node: who is told of their end, where, and when."""

from __future__ import annotations

import logging

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from aimem.model import DAY_S, SECOND_US, Instant, PresentedCertificate
from aimem.service import OwnCertificate, Papers, Which, run_expiry
from aimem.service.papers import days_left, papers_samples, papers_warnings, show_papers
from aimem.wire import MeshDocument, PeerStatus

DAY = DAY_S * SECOND_US
START = Instant(1_800_000_000 * SECOND_US)


def own(days: float, which: Which = Which.SERVER, name: str = "a") -> OwnCertificate:
    return OwnCertificate(
        which=which, fingerprint=name * 64, subject=f"CN={name}", names=(name,),
        not_after=Instant(START + int(days * DAY)),
    )


class VirtualClock:
    """The wall clock, as Trio's time goes by."""

    def now(self) -> Instant:
        return Instant(START + int(trio.current_time() * SECOND_US))


@pytest.mark.parametrize(("days", "said"), [
    (31, None), (30, None), (29.5, "the server certificate expires in 29 days, on 2027-"),
    (1.5, "the server certificate expires in 1 day, on "), (0.5, "the server certificate expires within a day, on "),
    (-0.5, "the server certificate expired on "),
])
def test_health_warns_from_30_days_before_the_end(days: float, said: str | None) -> None:
    told = papers_warnings(Papers(own=(own(days), own(300, Which.CLIENT))), START)
    assert len(told) == (said is not None)
    assert said is None or told[0].startswith(said)


def test_health_says_that_files_were_not_read_anew_but_names_none() -> None:
    [told] = papers_warnings(Papers(failure="--tls-cert: /secret/place is empty"), START)
    assert "not read anew" in told and "/secret" not in told


def test_metrics_count_the_seconds_of_each_and_the_reloads() -> None:
    papers = Papers(own=(own(1), own(-1, Which.PEERS_CA)), reloaded=2, failed=1, listed_count=3)
    figures = {(one.name, one.labels): one.value for one in papers_samples(papers, START)}
    assert figures == {
        ("ai_memory_certificate_expires_seconds", (("which", "server"),)): DAY_S,
        ("ai_memory_certificate_expires_seconds", (("which", "quorum_ca"),)): -DAY_S,
        ("ai_memory_reloads", (("result", "ok"),)): 2, ("ai_memory_reloads", (("result", "failed"),)): 1,
        ("ai_memory_allowlist_fingerprints", ()): 3,
    }
    assert papers_samples(Papers(), START) == ()


def peer(url: str) -> PeerStatus:
    return PeerStatus(
        url=url, node="", stream="", state="reachable", breaker="closed", in_flight=False, lag_ops=0, lag_s=0.0,
        failures=0, clock_offset_ms=None, last_ok_s=None, last_error="", vector={}, held=0,
    )


def test_the_document_of_the_mesh_shows_ours_and_those_of_the_peers() -> None:
    document = MeshDocument(
        node="a", stream="s", protocol=1, members=3, writes=1, vector={}, hlc=0, held=(), held_count=0,
        conflict_count=0, peers=(peer("https://Node-B:9077/x"), peer("https://node-c"), peer("http://node-b:9077")),
    )
    papers = Papers(own=(own(12.5),), failure="--tls-cert: /etc/a.pem is empty")
    for place in ("node-b:9077", "node-c:443"):
        papers.seen[place] = PresentedCertificate(
            fingerprint=place, names=("b",), not_after=Instant(START + 40 * DAY))
    show_papers(document, papers, START)
    assert [(one.which, one.days_left) for one in document.certificates] == [("server", 12)]
    assert [one.certificate and one.certificate.fingerprint for one in document.peers] == [
        "node-b:9077", "node-c:443", None]
    assert document.peers[0].certificate is not None and document.peers[0].certificate.days_left == 40
    assert len(document.alarms) == 2 and "/etc/a.pem is empty" in document.alarms[1]


async def test_the_log_tells_of_30_7_and_1_days_and_of_the_end_once_each(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    papers = Papers(own=(own(40), own(400, Which.CLIENT, "b")))
    with caplog.at_level(logging.INFO), trio.move_on_after(50 * DAY_S):
        await run_expiry(papers, VirtualClock())
    told = [(record.message, record.__dict__["days_left"], record.levelname) for record in caplog.records]
    assert told == [
        ("certificate.expires_soon", 29, "WARNING"), ("certificate.expires_soon", 6, "WARNING"),
        ("certificate.expires_soon", 0, "ERROR"), ("certificate.expired", -1, "ERROR"),
    ]


async def test_one_that_begins_late_is_told_once_and_its_successor_anew(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    papers = Papers(own=(own(3),))
    async with trio.open_nursery() as nursery:
        await nursery.start(run_expiry, papers, VirtualClock())
        await wait_all_tasks_blocked()
        papers.renew((own(20, name="c"),))
        await wait_all_tasks_blocked()
        papers.renew((own(100, name="d"),))
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert [record.__dict__["days_left"] for record in caplog.records] == [3, 20]


async def test_without_certificates_nothing_is_awaited_but_some(autojump_clock: MockClock) -> None:
    papers = Papers()
    async with trio.open_nursery() as nursery:
        await nursery.start(run_expiry, papers, VirtualClock())
        with trio.move_on_after(10 * DAY_S):
            await papers.wait_renewed()
        nursery.cancel_scope.cancel()
    assert days_left(START, START) == 0


def test_what_is_shown_to_others_is_what_servers_and_clients_show() -> None:
    papers = Papers(own=(own(1), own(1, Which.CLIENT), own(1, Which.PEERS_CA, "z")))
    assert papers.fingerprints == ("a" * 64,)
