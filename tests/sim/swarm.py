"""What a seed makes of a run: how many nodes, how bad the weather, which faults at all.

Each seed draws its own rates, so that some runs have every fault at once and others one kind in plenty: a fault that
is always present hides what happens without it (swarm testing, Groce et al., ISSTA 2012).
"""

from __future__ import annotations

import random
from enum import StrEnum

import msgspec
from msgspec import Struct

CERTIFIED = 1 / 3
"""Of the seeds: so many are of a mesh whose nodes have certificates."""
CERTIFIED_FAULT = 0.7
QUORUM_FIRST = 0.5


class Fault(StrEnum):
    """What the nemesis may do."""

    PARTITION = "partition"
    CLOG = "clog"
    KILL = "kill"                # the process ends; what it wrote is there
    POWER = "power"              # the machine ends; what it had not synced may be lost or torn
    PAUSE = "pause"              # as by SIGSTOP
    STEP = "step"                # the wall clock jumps
    FULL_DISK = "full_disk"
    SLOW_DISK = "slow_disk"
    SYNC_ERROR = "sync_error"    # after which a node has to end
    LOSE = "lose"                # all files are gone
    RESTORE = "restore"          # the files of a while ago are back, as an operator restores them
    ROT = "rot"                  # rows are gone that others have, behind the store's back
    ROTATE = "rotate"            # a node shows another certificate, which all lists have by then
    DELIST = "delist"            # a node is taken off the lists of all others
    COPY = "copy"                # a machine runs from a copy of another one's files
    TRIM = "trim"                # a log is to keep less, or more, from now on
    AWAY = "away"                # a machine is down for longer than anything is kept for it
    JOIN = "join"                # a machine is no member at first, and joins empty
    REMOVE = "remove"            # a machine is taken off all lists, and later on again
    REJOIN = "rejoin"            # a node fetches everything anew, in another stream, on an operator's word
    OLDER = "older"              # a machine runs the version before, and is brought up to date
    MIDWAY = "midway"            # a process ends that gives a snapshot to another one, or joins it


OF_CERTIFICATES = (Fault.ROTATE, Fault.DELIST)
"""Faults of a mesh whose nodes have certificates."""
OF_YEARS = (Fault.COPY, Fault.TRIM, Fault.AWAY, Fault.JOIN, Fault.REMOVE, Fault.REJOIN, Fault.OLDER, Fault.MIDWAY)
"""What happens to a mesh that runs for long."""
OF_YEARS_EACH = 0.4


class Certificates(StrEnum):
    """What nodes show each other, beside their signatures."""

    NONE = "none"
    LISTED = "listed"            # certificates of no authority: the lists alone say whose they are
    SIGNED = "signed"            # certificates that name their nodes for an authority, and are on lists


class Lie(StrEnum):
    """What a lying member may lie about."""

    MORE = "more"                # it knows ops that nobody wrote
    OTHER_END = "other_end"      # it knows another op in the place of somebody's last
    LESS = "less"                # it knows nothing
    CLOSED = "closed"            # streams have two histories that have one
    FORKED = "forked"            # the asker itself has
    NAME = "name"                # it is somebody else
    REPLAY = "replay"            # old messages, also of others
    FORGE = "forge"              # ops of others
    EQUIVOCATE = "equivocate"    # an op of its own for these, and another one for those
    TRIMMED = "trimmed"          # its log does not reach back
    USURP = "usurp"              # by an op of its own, whose stream another one is
    SNAPSHOT = "snapshot"        # its snapshots have other chunks than it says, or cannot be
    FULL = "full"                # it can take no more of others
    CLUSTER = "cluster"          # it belongs to another mesh


class Swarm(Struct, frozen=True, kw_only=True):
    """The conditions of one run; times in seconds, rates as probabilities of one message.

    Attributes:
      quorum: nodes that must have a write before it is acknowledged (W).
      calm_s: mean time between faults.
      clock_offset_s, clock_drift: most by which a wall clock is off at the start, and goes wrong.
      breaks: rate of messages that break off.
      lies: rate of messages between nodes that somebody changes on their way.
      governed: whether clients ask for approval, and vote, far more often than else.
      secured: whether agents have keys, and nodes share one.
      certificates: whether nodes and clients have certificates, and lists of those who may connect.
      log_most: ops that a log keeps at most as a rule, whoever lacks them; what is below is fetched as a snapshot. None
        for many.
      keeps_key: whether files that are put back may include a key, so that the node goes on as if nothing had been.
      has_model: nodes recall by meaning, too.
      leaves_late: rate of messages that take seconds, and so arrive behind later ones.
      compare_s: mean time between comparisons of all that a node has with one peer; None for never.
      member_lies: what the last of the nodes lies about, which is a member all the same; empty if all are honest. An
        ack of a liar cannot be told from a true one, so of W nodes that are to have a write, W - 1 have it.
      healed_first: after the storm so many honest nodes are healed before the others are, and have to make progress
        alone; 0 for all at once.
      without: kinds of faults that are thought of, and left out.
      only_faults, only_acts: the faults, and the acts of clients, that are not left out; None if none is. They are what
        they are with the others, but that a client who has less to do comes to its acts the earlier.
    """

    seed: int
    nodes: int
    quorum: int
    clients: int
    think_s: float
    loss: float
    duplicates: float
    breaks: float
    lies: float
    has_model: bool
    leaves_late: float
    governed: bool
    secured: bool
    log_most: int | None
    delay_s: float
    commit_s: float
    calm_s: float
    clock_offset_s: float
    clock_drift: float
    keeps_key: bool = False
    certificates: Certificates = Certificates.NONE
    faults: tuple[Fault, ...]
    compare_s: float | None = 15.0
    member_lies: tuple[Lie, ...] = ()
    healed_first: int = 0
    without: tuple[Fault, ...] = ()
    only_faults: tuple[int, ...] | None = None
    only_acts: tuple[str, ...] | None = None

    @property
    def names(self) -> list[str]:
        """All nodes."""
        return [f"n{number}" for number in range(self.nodes)]

    @property
    def honest(self) -> list[str]:
        """Those that keep to the rules."""
        return self.names[:-1] if self.member_lies else self.names

    @property
    def sure_count(self) -> int:
        """Nodes that have what was acknowledged, whoever lied."""
        return self.quorum - bool(self.member_lies)

    def has(self, fault: Fault) -> bool:
        """Whether there are faults of a kind."""
        return fault in self.faults and fault not in self.without

    def strikes(self, number: int, fault: Fault) -> bool:
        """Whether the n-th fault, of this kind, is not left out."""
        return self.has(fault) and (self.only_faults is None or number in self.only_faults)

    def asks(self, act: str) -> bool:
        """Whether an act of a client is not left out."""
        return self.only_acts is None or act in self.only_acts

    def rng(self, purpose: str) -> random.Random:
        """A generator of its own for each purpose: one more draw here changes nothing there."""
        return random.Random(f"{self.seed}/{purpose}")


def roll(seed: int, *, nodes: int | None = None) -> Swarm:
    """The conditions that a seed stands for."""
    rng = random.Random(f"{seed}/swarm")
    count = rng.choice([3, 3, 3, 4, 4, 5, 7])
    if nodes is not None:
        count = nodes
    is_calm = rng.random() < 0.2
    later = random.Random(f"{seed}/later")      # what came to be drawn later changes nothing of the rest
    chosen = [
        fault for fault in Fault
        if fault not in (*OF_CERTIFICATES, *OF_YEARS) and (later if fault is Fault.ROT else rng).random() < 0.6
    ]
    of_years = [fault for fault in OF_YEARS if random.Random(f"{seed}/{fault.value}").random() < OF_YEARS_EACH]
    certificates, of_certificates = _certificates(random.Random(f"{seed}/certificates"))
    lies = later.choice([0.0, 0.0, 0.02])
    keeps_key = random.Random(f"{seed}/key").random() < 0.25
    return Swarm(
        seed=seed,
        nodes=count,
        quorum=rng.randint(2, count // 2 + 1) if count > 1 else 1,
        clients=rng.randint(2, 4),
        think_s=rng.choice([0.4, 0.8, 1.6]) * max(count, 3) / 3,     # a run of more nodes takes no longer
        loss=0.0 if is_calm else rng.choice([0.0, 0.02, 0.1, 0.3]),
        duplicates=0.0 if is_calm else rng.choice([0.0, 0.05, 0.3]),
        breaks=0.0 if is_calm else rng.choice([0.0, 0.0, 0.03]),
        lies=0.0 if is_calm else lies,
        governed=later.random() < 0.4,
        has_model=later.random() < 0.25,
        secured=later.random() < 0.3,
        leaves_late=0.0 if is_calm else rng.choice([0.0, 0.02, 0.1]),
        log_most=rng.choice([None, 60, 15]),
        delay_s=rng.choice([0.0005, 0.005, 0.05]),
        commit_s=rng.choice([0.0002, 0.002, 0.02]),
        calm_s=rng.choice([2.0, 5.0, 12.0]),
        clock_offset_s=rng.choice([0.0, 0.2, 2.0]),
        clock_drift=rng.choice([0.0, 1e-4, 1e-2]),
        keeps_key=keeps_key,
        faults=() if is_calm and rng.random() < 0.5 else (*chosen, *of_certificates, *of_years),
        certificates=certificates,
    )


def _certificates(rng: random.Random) -> tuple[Certificates, list[Fault]]:
    """Whether this mesh has certificates, and what then happens to them."""
    if rng.random() >= CERTIFIED:
        return Certificates.NONE, []
    kind = rng.choice([Certificates.LISTED, Certificates.SIGNED])
    return kind, [fault for fault in OF_CERTIFICATES if rng.random() < CERTIFIED_FAULT]


def with_liar(swarm: Swarm) -> Swarm:
    """The same with one more node than it has, which lies; the honest ones suffice for every write."""
    rng = swarm.rng("lies of a member")
    chosen = tuple(lie for lie in Lie if rng.random() < 0.6)
    return msgspec.structs.replace(
        swarm, nodes=swarm.nodes + 1, quorum=min(max(2, swarm.quorum), swarm.nodes), member_lies=chosen or tuple(Lie),
    )


def with_quorum(swarm: Swarm) -> Swarm:
    """The same, where of some seeds only as many nodes as a write takes, or a few more, are healed at first."""
    rng = swarm.rng("quorum")
    most = len(swarm.honest) - (not swarm.member_lies)
    if rng.random() >= QUORUM_FIRST or most < swarm.quorum:
        return swarm
    return msgspec.structs.replace(swarm, healed_first=rng.choice([swarm.quorum, rng.randint(swarm.quorum, most)]))
