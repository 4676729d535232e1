"""The operator's console: which nodes it looks at and how it reaches them, and its overview for scripts."""

from __future__ import annotations

from msgspec import Struct


class DoorIn(Struct, frozen=True, kw_only=True):
    """A way to a node: an address, or the Unix socket beside a database."""

    name: str
    url: str = ""
    socket: str = ""


class ConsoleRequest(Struct, frozen=True, kw_only=True):
    """What to look at.

    Attributes:
      doors: the ways to the nodes, in the order in which they are shown.
      ca_cert, client_cert, client_key: files for TLS, None for what is not named.
      key: shown to the nodes; None for none.
      agent_id: who decides on what waits; None for whoever the key says.
      screen: by which name it opens.
      theme: `dark`, `light`, `ansi` (the sixteen colours of the terminal), or empty for what fits.
      screenshot: where to leave a picture of the first screen, instead of opening it.
    """

    doors: tuple[DoorIn, ...]
    ca_cert: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    key: str | None = None
    agent_id: str | None = None
    screen: str = "mesh"
    theme: str = ""
    screenshot: str | None = None


class NodeOverview(Struct, kw_only=True):
    """One node of the mesh.

    Attributes:
      door: by which it was asked; empty for one that is known from others alone.
      state: ok, warning, stale, offline, ... as the screen says it, and `why` in a sentence.
      rtt_ms: of a question of this console; `ack_ms` the mean from sending it ops to its report, as its peer measured.
      lag_ops, lag_s: by how much it is behind whoever tells of it, and for how long.
      acked: how many ops of that node it is known to have, `of` so many.
      certificate_days_left: None without TLS.
    """

    door: str
    node: str
    state: str
    why: str
    rtt_ms: float | None
    ack_ms: float | None
    lag_ops: int | None
    lag_s: float | None
    acked: int | None
    of: int | None
    breaker: str
    clock_offset_ms: float | None
    certificate_days_left: int | None
    version: str


class QuorumOverview(Struct, kw_only=True):
    """How many nodes a write waits for (`writes`), of how many (`members`), and how many count now."""

    writes: int
    members: int
    reachable: int
    short_writes: int
    last_short: str


class ConsoleOverview(Struct, kw_only=True):
    """What an operator sees first.

    Attributes:
      verdict: `ok`, `warning` (something wants to be looked at), or `unavailable` (no node answered).
      seen_by: the node whose view of the others it is; empty if none answered.
      pending: actions that wait for a decision; None where that could not be asked.
      warnings: sentences, of the nodes and of the mesh.
    """

    verdict: str
    seen_by: str
    nodes: tuple[NodeOverview, ...]
    quorum: QuorumOverview | None
    pending: int | None
    warnings: tuple[str, ...]
