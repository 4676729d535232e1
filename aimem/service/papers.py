"""The certificates of this node: until when they hold, and whether the files behind them could be read anew.

What they are is whoever runs the node's to say (`Papers.own`); what is said of them is said here.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

import trio
from msgspec import Struct

from aimem.model import DAY_S, SECOND_US, Instant, PresentedCertificate, format_instant
from aimem.ports import Clock
from aimem.service.samples import Sample
from aimem.wire import MeshDocument
from aimem.wire import papers as wire

log = logging.getLogger(__name__)

WARN_DAYS: Final = (30, 7, 1)
LOOK_EVERY_S: Final = 3600.0
"""The wall clock may be set, so a moment that is days away is looked at again within an hour."""


class Which(StrEnum):
    """What a certificate is for: as metrics and `mesh status` name it."""

    SERVER = "server"
    CLIENT = "client"
    CLIENTS_CA = "mtls_ca"
    PEERS_CA = "quorum_ca"


_WORDS: Final = {
    Which.SERVER: "the server certificate", Which.CLIENT: "the client certificate",
    Which.CLIENTS_CA: "an authority of the clients", Which.PEERS_CA: "an authority of the peers",
}


class OwnCertificate(Struct, frozen=True, kw_only=True):
    """One of ours; `not_after` is the earliest of its chain."""

    which: Which
    fingerprint: str
    subject: str
    names: tuple[str, ...]
    not_after: Instant


@dataclass(kw_only=True)
class Papers:
    """What is known of certificates.

    Attributes:
      own: those that are in use.
      before: fingerprints of what was shown until the last time that they changed.
      listed_count: fingerprints that may connect; None if everybody may.
      seen: the last certificate that a peer's server showed, by `host:port` in lower case; bounded by the peers.
      reloaded, failed: how often the files were read anew, and how often in vain.
      failure: why the last time was in vain; empty if it was not.
    """

    own: tuple[OwnCertificate, ...] = ()
    before: tuple[str, ...] = ()
    listed_count: int | None = None
    seen: dict[str, PresentedCertificate] = field(default_factory=dict)
    reloaded: int = 0
    failed: int = 0
    failure: str = ""
    _changed: trio.Event = field(default_factory=trio.Event)

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Of what this node shows others, as a server and as a client; each once."""
        shown = [one.fingerprint for one in self.own if one.which in (Which.SERVER, Which.CLIENT)]
        return tuple(dict.fromkeys(shown))

    @property
    def spoken(self) -> tuple[str, ...]:
        """`fingerprints`, and what a request that is just under way may still show."""
        return tuple(dict.fromkeys((*self.fingerprints, *self.before)))

    def renew(self, own: tuple[OwnCertificate, ...]) -> None:
        """Others are in use from now on."""
        held, self.own = self.fingerprints, own
        if held != self.fingerprints:
            self.before = held
        self._changed.set()
        self._changed = trio.Event()

    def keep_seen(self, urls: Iterable[str]) -> None:
        """Forget what was shown at other addresses than these, which are those of the peers."""
        places = frozenset(map(_place, urls))
        for place in [place for place in self.seen if place not in places]:
            del self.seen[place]

    async def wait_renewed(self) -> None:
        """Wait for the next `renew`."""
        await self._changed.wait()


def days_left(not_after: Instant, now: Instant) -> int:
    """Whole days; below 0 once it has expired."""
    return math.floor((not_after - now) / (DAY_S * SECOND_US))


def papers_warnings(papers: Papers, now: Instant) -> tuple[str, ...]:
    """Sentences for health: they name no path, as whoever asks for health needs no key."""
    told = _ending(papers, now)
    if papers.failure:
        told.append("the configuration was not read anew: the last SIGHUP found a fault in it or in the files of "
                    "TLS (the log names it), and what held before goes on")
    return tuple(told)


def _ending(papers: Papers, now: Instant) -> list[str]:
    return [
        f"{_WORDS[one.which]} {_when(one.not_after, now)}: put a new one in its place and send the process SIGHUP"
        for one in papers.own if days_left(one.not_after, now) < WARN_DAYS[0]
    ]


def papers_samples(papers: Papers, now: Instant) -> tuple[Sample, ...]:
    """Figures; none of a node without TLS."""
    samples = [
        Sample(
            name="ai_memory_certificate_expires_seconds", kind="gauge", labels=(("which", one.which.value),),
            help="Seconds until a certificate of this node expires; below 0 once it has.",
            value=(one.not_after - now) / SECOND_US,
        )
        for one in papers.own
    ]
    if papers.own or papers.reloaded or papers.failed:
        samples += [
            Sample(
                name="ai_memory_reloads", help="Times that members and certificates were read anew.", kind="counter",
                value=float(count), labels=(("result", result),),
            )
            for result, count in (("ok", papers.reloaded), ("failed", papers.failed))
        ]
    if papers.listed_count is not None:
        samples.append(Sample(
            name="ai_memory_allowlist_fingerprints", help="Certificates that may connect.", kind="gauge",
            value=float(papers.listed_count),
        ))
    return tuple(samples)


def show_papers(document: MeshDocument, papers: Papers, now: Instant) -> None:
    """Fill in the certificates of a document, the peers' too, and what a person must look at."""
    document.certificates = tuple(
        wire.CertificateOut(
            which=one.which.value, fingerprint=one.fingerprint, subject=one.subject, names=one.names,
            expires_at=format_instant(one.not_after), days_left=days_left(one.not_after, now),
        )
        for one in papers.own
    )
    told = _ending(papers, now)
    if papers.failure:
        told.append(f"the last SIGHUP changed nothing: {papers.failure}")
    document.alarms = (*document.alarms, *told)
    for peer in document.peers:
        seen = papers.seen.get(_place(peer.url))
        if seen is not None:
            peer.certificate = wire.PeerCertificateOut(
                fingerprint=seen.fingerprint, names=seen.names, expires_at=format_instant(seen.not_after),
                days_left=days_left(seen.not_after, now),
            )


def _place(url: str) -> str:
    """The `host:port` of an address; of one without TLS something that nothing is kept under."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 443}" if parts.scheme == "https" else ""


async def run_expiry(
    papers: Papers, clock: Clock, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Log 30, 7 and 1 days before a certificate of ours expires, and when it has: each once while it is in use."""
    told: dict[str, int] = {}
    task_status.started()
    while True:
        now = clock.now()
        # What is not in use any more is forgotten, so this is as small as what is.
        told = {one.fingerprint: _tell(one, told.get(one.fingerprint, WARN_DAYS[0] + 1), now) for one in papers.own}
        with trio.move_on_after(_next_look_s(papers, now)):
            await papers.wait_renewed()


def _tell(one: OwnCertificate, told_days: int, now: Instant) -> int:
    """Log if a step was passed since. Returns: the step that is told by now, in days."""
    left = days_left(one.not_after, now)
    step = next((days for days in (-1, *reversed(WARN_DAYS)) if left < max(days, 0)), told_days)
    if step < told_days:
        level = logging.ERROR if left < WARN_DAYS[-1] else logging.WARNING
        log.log(level, "certificate.expired" if left < 0 else "certificate.expires_soon", extra={
            "which": one.which.value, "fingerprint": one.fingerprint[:16], "days_left": left,
            "until": format_instant(one.not_after),
        })
    return min(step, told_days)


def _next_look_s(papers: Papers, now: Instant) -> float:
    steps = [one.not_after - days * DAY_S * SECOND_US for one in papers.own for days in (*WARN_DAYS, 0)]
    due_us = min((step - now for step in steps if step > now), default=math.inf)
    # A little past the step, so that it is behind us by then.
    return min(LOOK_EVERY_S, due_us / SECOND_US + 1) if papers.own else math.inf


def _when(not_after: Instant, now: Instant) -> str:
    left = days_left(not_after, now)
    day = format_instant(not_after)[:10]
    if left < 0:
        return f"expired on {day}"
    return f"expires in {left} day{'' if left == 1 else 's'}, on {day}" if left else f"expires within a day, on {day}"
